// --explain: what an answer stood on, as a picture for a terminal and as JSON.
#pragma once

#include <fathom/account.h>

#include <CLI/CLI.hpp>
#include <string>

#include "cli/terminal.h"
#include "eval/account.h"

namespace fathom::cli {

void add_explain(CLI::App& command, bool& explain);

// A row of bars a stage, one bar a range of positions, and the numbers; ends with a line break.
std::string account_text(const Account& account);
using eval::account_json;

}  // namespace fathom::cli
