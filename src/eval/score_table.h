// Quality beside cost, a row a policy, for every length and way of asking: as Markdown for people
// and as CSV for programs. Rows are sorted by bytes of the cache a token.
//
// Scores are those of tasks that count, with 95 % intervals, by capability; "min" is the lowest of
// them; S1 and S2.. those of first and later turns. Of the three Pareto columns (bytes of the
// cache, first token, a step) "*" is on the frontier, ". 3" dominated, by policy 3, "~" neither.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "eval/report.h"

namespace fathom::eval {

// "keep=snapkv store=q8" and "budget=512" of "keep=snapkv(budget=512) store=q8".
struct PolicyName {
  std::string method, setting;
};
PolicyName split_name(std::string_view line);

// "" where no questions were asked. `run`: see table.h.
std::string score_table(const Report& report, const nlohmann::ordered_json& run);
std::string score_csv(const Report& report);

}  // namespace fathom::eval
