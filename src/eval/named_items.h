// What an answer names: golds among all items of their kind. Containment scorers reward whoever
// copies out the context; this tells.
#pragma once

#include <optional>
#include <string_view>

#include "eval/instance.h"

namespace fathom::eval {

struct NamedItems {
  size_t items = 0;   // different ones of the golds' kind in the output
  size_t right = 0;   // golds among them
  size_t wanted = 0;  // golds

  // More than three where one is asked for, or as many too many where several are.
  bool too_many() const { return items > wanted + 2; }
};

// For tasks that ask for values and are judged by containment (Retr.KV, Retr.Prefix-Suffix, RULER's
// needles); nothing for others. Of a kind: as many digits, hexadecimal characters or capitals as
// the gold has; of prefix_suffix: runs of small letters and digits as long as its strings are.
std::optional<NamedItems> named_items(const Instance& instance, size_t turn,
                                      std::string_view output);

}  // namespace fathom::eval
