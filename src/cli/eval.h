// What the ways of `fathom eval` share: generating, scoring, running.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/terminal.h"
#include "eval/instance_file.h"
#include "eval/library.h"
#include "eval/report.h"
#include "text/tokenizer.h"

namespace fathom::cli {

struct EvalArgs {
  ModelArgs model;
  std::string suite = "needle", lengths, books, mode = "multi-request", answers = "golden";
  std::string layout = "fathom", data, task, output, score, against, policies, report;
  size_t instances = 0;  // 0: 55 of the needle, 10 of the others
  size_t turns = 5;
  size_t controls = 0;  // tokens of the controls' budgets; 0: none
  size_t repeat = 3;    // timed runs
  double margin = 2;    // points
  uint64_t seed = 42;
  bool generate = false, list = false, json = false, resume = false, ungated = false,
       explain = false;
};

// "1k,4096,16K": k is 1024. Throws Error(kUsage).
std::vector<size_t> parse_lengths(const std::string& text);

// What --suite names: tasks, as choose_tasks() takes them, and measurements of predictions.
struct SuiteChoice {
  std::string tasks;  // "" for none
  bool divergence = false, books = false;
  bool decode_only = false;  // of divergence's sets of positions
};
SuiteChoice parse_suite(const std::string& text);

// The arguments with what the sizes named by --suite, such as "smoke", bring where nothing was
// typed.
EvalArgs with_sizes(EvalArgs args);

// The lines of --policies, which may be a file, and of --controls; --kv's alone where there are
// none.
std::vector<std::string> policy_lines(const EvalArgs& args);

// The instances that the arguments name: read from --data, or made from the tasks, lengths and
// seed. Tasks that a length or the tokenizer does not allow are left out, and told on standard
// error; throws Error(kUsage) where none is left.
std::vector<eval::Instance> eval_instances(const EvalArgs& args, const std::string& tasks,
                                           const text::Tokenizer& tokenizer, size_t frame_tokens);

eval::Library eval_library(const EvalArgs& args);

// What a report says of the run beside its results.
Json run_json(const EvalArgs& args, const engine::Engine& engine);

// Prints the report, and writes it into the folder -o: results.json, report.html, results.md. The
// exit code: that of an internal failure for a run that is to be rejected.
int show_report(const EvalArgs& args, const eval::Report& report, const Json& run);

int eval_run(const EvalArgs& args);
int eval_report(const EvalArgs& args);
int eval_generate(const EvalArgs& args);
int eval_score(const EvalArgs& args);
int eval_list(const EvalArgs& args);

}  // namespace fathom::cli
