// Runs the program as a user's shell would.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace fathom::test {

struct Outcome {
  int code = 0;
  std::string out, err;
  nlohmann::json parsed() const;
};

// A folder of this process's tests.
std::filesystem::path temporary();
std::string shell_word(const std::string& text);
// `input` goes to standard input.
Outcome fathom(const std::string& arguments, const std::string& input = "");
std::string write_text(const std::string& name, const std::string& text);

}  // namespace fathom::test
