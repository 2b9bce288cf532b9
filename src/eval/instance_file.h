// Instances as JSON lines.
//
//   fathom   id, suite, task, seed, L_target, tokens, depth, instruction, context, multi_turns:
//            [{input, answer, answer_prefix, lead_in, options, task, gold_spans, max_new}]
//   scbench  the same names; only context and multi_turns: [{input, answer}] are needed
//   ruler    index, input, outputs, length, answer_prefix: one question, its context within
//
// gold_spans are pairs of character positions (Unicode code points, end exclusive). Files are
// untrusted: everything is checked, and errors are Error(kBadFile) naming file, line and field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/instance.h"

namespace fathom::eval {

enum class Layout : uint8_t { kFathom, kScbench, kRuler };

// Throws Error(kUsage).
Layout parse_layout(std::string_view name);

// `source` names the text in messages; `task` is for instances that do not name their own.
std::vector<Instance> parse_instances(std::string_view text, const std::string& source,
                                      Layout layout, const std::string& task = "");

// One line, ending in '\n'. Throws Error(kUsage) for an instance of several turns in RULER's
// layout.
std::string instance_line(const Instance& instance, Layout layout);

}  // namespace fathom::eval
