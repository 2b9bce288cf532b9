#include "decode/stop.h"

#include <algorithm>
#include <utility>

namespace fathom::decode {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& s) { return s.empty(); });
}

StopStrings::Result StopStrings::push(std::string_view text) {
  held_ += text;
  size_t at = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t found = held_.find(stop);
    if (found < at) {
      at = found;
      found_ = stop;
    }
  }
  if (at != std::string::npos) {
    std::string shown = held_.substr(0, at);
    held_.clear();
    return {std::move(shown), true};
  }
  // Hold back the longest end that begins a stop string.
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
      if (std::string_view(held_).substr(held_.size() - n) == std::string_view(stop).substr(0, n)) {
        keep = n;
      }
    }
  }
  std::string shown = held_.substr(0, held_.size() - keep);
  held_.erase(0, shown.size());
  return {std::move(shown), false};
}

std::string StopStrings::flush() { return std::exchange(held_, {}); }

}  // namespace fathom::decode
