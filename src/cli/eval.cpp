// fathom eval: what a shortcut costs, on the user's own model.
#include "cli/eval.h"

#include <memory>

#include "base/error.h"
#include "cli/command.h"

namespace fathom::cli {
namespace {

int evaluate(const EvalArgs& typed) {
  const EvalArgs args = with_sizes(typed);
  if (args.resume && args.output.empty()) {
    throw with_hint(usage_error("--resume", "there is no folder to go on in"),
                    "name the one that -o wrote: -o DIR --resume");
  }
  if (args.list) return eval_list(args);
  if (!args.score.empty()) return eval_score(args);
  if (args.generate) return eval_generate(args);
  if (!args.report.empty()) return eval_report(args);
  return eval_run(args);
}

void add_generating(CLI::App& c, EvalArgs& args) {
  const std::string group = "Instances";
  c.add_flag("--generate", args.generate, "Write instances to -o, without running a model")
      ->group(group);
  c.add_option(
       "--suite", args.suite,
       "needle, ruler, scbench, or names of tasks, separated by commas; divergence: how far "
       "predictions on prose are from the first policy's; books: perplexity of books; all: "
       "every task and divergence. smoke and quick are measurements of a size, see below")
      ->group(group)
      ->capture_default_str();
  c.add_option("--lengths", args.lengths, "Tokens of prompt and answer; k is 1024 (default: 4k)")
      ->group(group);
  c.add_option("--instances", args.instances,
               "Instances of each task and length (default: 10; needle 55, the full grid); of "
               "divergence and of each book, windows")
      ->group(group);
  c.add_option("--turns", args.turns, "Questions over one context, where a task has several")
      ->check(CLI::Range(1, 8))
      ->group(group)
      ->capture_default_str();
  c.add_option("--seed", args.seed, "The same seed gives the same instances, on every machine")
      ->group(group)
      ->capture_default_str();
  c.add_option("--books", args.books,
               "A folder of plain-text books to hide facts in and to predict (default: generated "
               "prose)")
      ->group(group);
  c.add_option("-o,--output", args.output,
               "A folder for results, report.html and results.md among them; with --generate a "
               "file (default: "
               "standard output)")
      ->group(group);
}

void add_scoring(CLI::App& c, EvalArgs& args) {
  const std::string group = "Scoring";
  c.add_option("--score", args.score, "Judge the answers in this JSONL file; - is standard input")
      ->group(group);
  c.add_option("--layout", args.layout, "Of files read and written: fathom, scbench or ruler")
      ->group(group)
      ->capture_default_str();
  c.add_option("--task", args.task, "The task, where lines do not name their own")->group(group);
  c.add_option("--data", args.data, "Instances that hold the answers, by id")->group(group);
  c.add_option("--against", args.against, "Compare with the answers in this file, pair by pair")
      ->group(group);
}

void add_running(CLI::App& c, EvalArgs& args) {
  const std::string group = "Running";
  c.add_option("--policies", args.policies,
               "Cache policies as --kv takes them, separated by semicolons, or a file of them, one "
               "a line; the first is what the others are compared with")
      ->group(group);
  c.add_option("--controls", args.controls,
               "Also run what policies should lie between, with so many tokens: keys by lot, by "
               "one who knows, sinks and a window; and 8- and 4-bit stores")
      ->group(group);
  c.add_flag("--ungated", args.ungated,
             "Ask every policy everything, also what the first cannot answer")
      ->group(group);
  c.add_flag("--explain", args.explain,
             "Also show what each policy stands on, by position in a text of the longest length: "
             "the attention computed, the tokens kept, their bytes, the keys read")
      ->group(group);
  c.add_option("--repeat", args.repeat, "Timed runs of each policy and length; 0: none")
      ->group(group)
      ->capture_default_str();
  c.add_option("--margin", args.margin, "Points by which a policy may be worse and count as good")
      ->group(group)
      ->check(CLI::Range(0.1, 50.0))
      ->capture_default_str();
  c.add_option("--mode", args.mode,
               "multi-request: the context is read once, blind to any question; multi-turn: one "
               "conversation; single: read afresh for each question")
      ->group(group)
      ->capture_default_str();
  c.add_option("--answers", args.answers,
               "What a conversation goes on with: golden, the right answers, so that an early "
               "mistake does not make later turns unequal; own, what the model wrote")
      ->group(group)
      ->capture_default_str();
  c.add_flag("--resume", args.resume, "Go on with the results in the folder -o")->group(group);
}

}  // namespace

Runner add_eval(CLI::App& app) {
  auto args = std::make_shared<EvalArgs>();
  CLI::App* c =
      app.add_subcommand("eval", "Measure what a cache policy costs on long-context tests");
  args->model.add_to(*c);
  add_running(*c, *args);
  add_generating(*c, *args);
  add_scoring(*c, *args);
  c->add_option("--report", args->report, "Write report and results of this folder again");
  c->add_flag("--list", args->list, "Show the tasks");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "Lengths are counted by MODEL's tokenizer.\n"
      "Answers to score are one object a line: id, prediction (or a list, one a turn), answer.\n"
      "\n"
      "Where to begin. A size brings lengths, instances and ten usual policies; what you type\n"
      "yourself (--lengths, --instances, --policies or --kv) counts instead.\n"
      "  fathom eval --suite smoke       does it work, and does anything break at once? Facts and\n"
      "                                  keys at 1k and 2k, divergence while decoding. A "
      "minute\n"
      "                                  with the bundled model on four cores.\n"
      "  fathom eval --suite quick -o D  every task at 1k, 2k and 4k, 50 sessions each, and all "
      "of\n"
      "                                  divergence: enough to choose by. Half an hour with it.\n"
      "  fathom eval MODEL --suite quick --lengths 16k --policies mine.txt -o D\n"
      "                                  your own model, length and policies; Ctrl-C and "
      "--resume.\n"
      "Then look at D/report.html: the frontier first, then what a policy loses task by task.\n"
      "\n"
      "Examples:\n"
      "  fathom eval model.gguf --suite needle --lengths 4k --policies \"store=f32;store=f16\"\n"
      "  fathom eval model.gguf --suite ruler --instances 25 -o results --resume\n"
      "  fathom eval --suite all --lengths 1k,4k --policies policies.txt --controls 512 -o "
      "results\n"
      "  fathom eval --report results\n"
      "  fathom eval --list\n"
      "  fathom eval model.gguf --generate --suite ruler --lengths 4k,16k -o ruler.jsonl\n"
      "  fathom eval --score answers.jsonl --layout ruler --task niah_multivalue\n"
      "  fathom eval --score fast.jsonl --against dense.jsonl --data ruler.jsonl");
  return [args] { return evaluate(*args); };
}

}  // namespace fathom::cli
