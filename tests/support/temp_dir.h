// A folder of a test's own, removed with everything in it.
#pragma once

#include <filesystem>
#include <string>

namespace fathom::test {

class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string& path, std::string_view bytes);

}  // namespace fathom::test
