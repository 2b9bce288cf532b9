// The report as Markdown: one row a policy, grouped by the stage that it changes, for people who
// put figures of many policies beside each other.
//
// A table a length, with what was measured there, columns that nobody filled left out:
//   prompt   share of the prompt's query-key pairs that was computed
//   keys     share of stored keys that a decode step reads
//   cache    bytes of the cache, as a share of the first policy's
//   KL, top  divergence from the first policy and share of positions with the same likeliest
//            token: on text while it is read, while it is decoded, and on right answers
//   right    answers to the tasks that count, with a 95 % interval; then by the depth of the fact
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "eval/report.h"

namespace fathom::eval {

// `run`: what was asked for, and the machine (run.json). A pure function of its arguments.
std::string report_table(const Report& report, const nlohmann::ordered_json& run);

}  // namespace fathom::eval
