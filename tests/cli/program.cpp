#include "cli/program.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "support/shared_data.h"

namespace fathom::test {

namespace fs = std::filesystem;

nlohmann::json Outcome::parsed() const {
  const nlohmann::json value = nlohmann::json::parse(out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << out << err;
  return value;
}

fs::path temporary() {
  static const fs::path folder = [] {
    std::string name = fs::temp_directory_path() / "fathom-cli-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return fs::path(name);
  }();
  return folder;
}

std::string shell_word(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

// `input` goes to standard input.
Outcome fathom(const std::string& arguments, const std::string& input) {
  const fs::path err = temporary() / "stderr", in = temporary() / "stdin";
  std::ofstream(in, std::ios::binary) << input;
  const std::string command = "FATHOM_MODEL=" + shell_word(bundled_model()) + " " +
                              shell_word(FATHOM_PROGRAM) + " " + arguments + " < " +
                              shell_word(in) + " 2> " + shell_word(err);
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.out.append(buffer, n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.err = read_file(err);
  return outcome;
}

std::string write_text(const std::string& name, const std::string& text) {
  const fs::path path = temporary() / name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace fathom::test
