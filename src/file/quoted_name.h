// Names out of untrusted files, made fit for a message: in quotes, at most 80 bytes of them, and
// without anything a terminal would act on.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace fathom::file {

inline std::string quoted_name(std::string_view name) {
  constexpr size_t kMost = 80;
  std::string out = "'";
  for (const char c : name.substr(0, kMost)) {
    const bool plain = c >= 0x20 && c < 0x7f;
    out += plain ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out + (name.size() > kMost ? "...'" : "'");
}

}  // namespace fathom::file
