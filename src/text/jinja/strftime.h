// datetime.now().strftime(format), with the time that the render was given.
#pragma once

#include <string>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// Names of days and months are English, whatever the process's locale. Times have no zone.
std::string formatted_time(Runtime& run, const std::string& format);

}  // namespace fathom::text::jinja
