// What the ways of `fathom eval` share: generating, scoring, running.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "eval/instance_file.h"
#include "text/tokenizer.h"

namespace fathom::cli {

struct EvalArgs {
  ModelArgs model;
  std::string suite = "needle", lengths = "4k", books, mode = "multi-request";
  std::string layout = "fathom", data, task, output, score, against, policies;
  size_t instances = 0;  // 0: 55 of the needle, 10 of the others
  size_t turns = 5;
  uint64_t seed = 42;
  bool generate = false, list = false, json = false, resume = false;
};

// "1k,4096,16K": k is 1024. Throws Error(kUsage).
std::vector<size_t> parse_lengths(const std::string& text);

// The lines of --policies; --kv's alone where there are none.
std::vector<std::string> policy_lines(const EvalArgs& args);

// The instances that the arguments name: read from --data, or made from suite, lengths and seed.
// Tasks that a length or the tokenizer does not allow are left out, and told on standard error;
// throws Error(kUsage) where none is left.
std::vector<eval::Instance> eval_instances(const EvalArgs& args, const text::Tokenizer& tokenizer,
                                           size_t frame_tokens);

int eval_run(const EvalArgs& args);
int eval_divergence(const EvalArgs& args);
int eval_generate(const EvalArgs& args);
int eval_score(const EvalArgs& args);
int eval_list(const EvalArgs& args);

}  // namespace fathom::cli
