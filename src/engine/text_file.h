// Reading text that a user named: a file, or standard input as "-".
#pragma once

#include <string>

namespace fathom::engine {

// The bytes as they are, without a UTF-8 byte order mark. Throws Error(kBadFile).
std::string read_text_file(const std::string& path);

}  // namespace fathom::engine
