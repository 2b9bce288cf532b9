// What every test of the program begins with.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "cli/program.h"
#include "support/shared_data.h"

namespace fathom {

namespace fs = std::filesystem;
using nlohmann::json;
using test::fathom;
using test::Outcome;
using test::shell_word;
using test::temporary;
using test::write_text;

}  // namespace fathom
