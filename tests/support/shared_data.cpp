#include "support/shared_data.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace fathom::test {

std::string reference(const std::string& path) {
  return std::string(FATHOM_SOURCE_DIR "/tests/reference/") + path;
}

std::string bundled_model() { return FATHOM_SOURCE_DIR "/models/fathom-tiny-f16.gguf"; }

std::optional<std::string> shared(const std::string& path) {
  const std::string full = std::string(FATHOM_SOURCE_DIR "/../shared/") + path;
  if (!std::filesystem::exists(full)) return std::nullopt;
  return full;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << "cannot read " << path;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<float> read_floats(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

}  // namespace fathom::test
