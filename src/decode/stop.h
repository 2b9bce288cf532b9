// When a reply ends: at a stop string, also one that spans tokens.
//
// Text is held back while it could be the beginning of a stop string, so nothing of a stop string
// is ever shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::decode {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);

  struct Result {
    std::string text;      // safe to show
    bool stopped = false;  // a stop string was completed; it is not part of text
  };
  Result push(std::string_view text);
  // What was held back, once no more text comes.
  std::string flush();

  // The stop string that was found; "" before.
  const std::string& found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  std::string found_;
};

}  // namespace fathom::decode
