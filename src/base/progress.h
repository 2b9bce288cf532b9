// How long operations tell their caller how far they are. The library never prints by itself.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace fathom {

struct ProgressUpdate {
  std::string_view phase;  // "loading", "reading": what is going on
  size_t done = 0;         // of `total`, in `unit`
  size_t total = 0;
  std::string_view unit;  // "bytes", "tokens"
};

// Called from the thread that runs the operation, often; the receiver decides how often to show
// it. Returning false asks the operation to stop where it can.
using Progress = std::function<bool(const ProgressUpdate&)>;

// Reports through `progress` if there is one; true to go on.
inline bool report(const Progress& progress, const ProgressUpdate& update) {
  return !progress || progress(update);
}

}  // namespace fathom
