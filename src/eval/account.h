// What policies stood on, position by position: accounts (fathom/account.h) as JSON, and of an
// evaluation's policies on one text.
#pragma once

#include <fathom/account.h>

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/controls.h"

namespace fathom::eval {

nlohmann::ordered_json account_json(const Account& account);

// Reads `length` tokens as a prompt and then the others, at least one, step by step. `subject`:
// made with Watch::kAccount.
Account measure_account(const Subject& subject, std::span<const engine::TokenId> tokens,
                        size_t length);

// One policy's, as a line of a file and as reports show it.
struct AccountLine {
  std::string model, policy;
  size_t length = 0;  // tokens of the prompt
  struct Shares {     // 0 to 1
    size_t first = 0, end = 0;
    double prefill = 1, kept = 1, stored = 1, fetched = 1;
  };
  std::vector<Shares> ranges;
  Shares total;
  std::string codecs;           // bytes by codec, for people
  nlohmann::ordered_json json;  // account_json()
};
AccountLine make_account_line(std::string model, std::string policy, size_t length,
                              const Account& account);

std::string account_line(const AccountLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<AccountLine> parse_accounts(std::string_view text, const std::string& source);

}  // namespace fathom::eval
