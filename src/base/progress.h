// Reporting progress to whoever asked for it.
#pragma once

#include <fathom/options.h>

namespace fathom {

// True to go on.
inline bool report(const Progress& progress, const ProgressUpdate& update) {
  return !progress || progress(update);
}

}  // namespace fathom
