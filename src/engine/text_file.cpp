#include "engine/text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/error.h"

namespace fathom::engine {

std::string read_text_file(const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      throw bad_file(path, "is a folder, not a text file");
    std::ifstream in(path, std::ios::binary);
    if (!in) throw bad_file(path, "cannot be read: {}", std::strerror(errno));
    text.assign(std::istreambuf_iterator<char>(in), {});
    if (in.bad()) throw bad_file(path, "cannot be read to its end");
  }
  if (text.rfind("\xef\xbb\xbf", 0) == 0) text.erase(0, 3);
  return text;
}

}  // namespace fathom::engine
