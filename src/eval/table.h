// The report as Markdown: one row a policy, grouped by the stage that it changes, for people who
// put figures of many policies beside each other.
//
// A table a length, with what was measured there, columns that nobody filled left out:
//   prompt   share of the prompt's query-key pairs that was computed
//   keys     share of stored keys that a decode step reads
//   cache    bytes of the cache, as a share of the first policy's
//   t/s      decoded tokens a second behind the text; x4, x16: of so many forks of it together
//   even     questions over one text from which the policy has cost less time than the first
//   KL, top  divergence from the first policy and share of positions with the same likeliest
//            token: on text while it is read, while it is decoded, and on right answers
//   common   tokens that both write alike behind the text, each the most likely one, up to the
//   first
//            difference: mean; alike: share of texts on which all are the same
//   right    answers to the tasks that count, with a 95 % interval; then by the depth of the fact
//
// Where predictions were compared, another table has what single tokens do: quantiles of KL and of
// the true token's change of probability (dp, in points), and how far logits move; and one what
// attention gives the reference's queries: weights on what is read, error of the output, difference
// of ln-sum-exp.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "eval/report.h"

namespace fathom::eval {

// `run`: what was asked for, and the machine (run.json). A pure function of its arguments.
std::string report_table(const Report& report, const nlohmann::ordered_json& run);
// Text as it may stand in a cell of a Markdown table.
std::string in_cell(std::string_view text);

}  // namespace fathom::eval
