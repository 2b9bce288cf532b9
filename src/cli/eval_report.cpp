// What `fathom eval` shows of a run: in the terminal, as JSON, as a page; now or later.
#include <filesystem>
#include <fstream>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/eval.h"
#include "cli/result_files.h"
#include "engine/text_file.h"
#include "eval/html/page.h"
#include "eval/model_traits.h"
#include "eval/score/text.h"
#include "eval/score_table.h"
#include "eval/table.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& word) {
  return word.find_first_of(" ;()<>&|\"'$") == std::string::npos ? word : "\"" + word + "\"";
}

// The command that gives these results again.
std::string command_of(const EvalArgs& args) {
  std::string out = "fathom eval";
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) out += fmt::format(" {} {}", option, quoted(value));
  };
  if (!args.model.model.empty()) out += " " + quoted(fs::path(args.model.model).filename());
  if (args.data.empty()) {
    add("--suite", args.suite);
    add("--lengths", args.lengths);
    add("--seed", std::to_string(args.seed));
    if (args.instances > 0) add("--instances", std::to_string(args.instances));
    if (args.turns != 5) add("--turns", std::to_string(args.turns));
  } else {
    add("--data", fs::path(args.data).filename());
  }
  if (!args.books.empty()) add("--books", fs::path(args.books).filename());
  add("--policies", args.policies);
  if (args.controls > 0) add("--controls", std::to_string(args.controls));
  if (args.mode != "multi-request") add("--mode", args.mode);
  if (args.answers != "golden") add("--answers", args.answers);
  if (args.ungated) out += " --ungated";
  if (args.explain) out += " --explain";
  if (args.repeat != 3) add("--repeat", std::to_string(args.repeat));
  add("--kv", args.model.kv);
  if (args.model.context > 0) add("--ctx", std::to_string(args.model.context));
  if (args.model.threads > 0) add("--threads", std::to_string(args.model.threads));
  return out + " -o DIR";
}

}  // namespace

Json run_json(const EvalArgs& args, const engine::Engine& engine) {
  const model::Config& c = engine.model().config();
  return {{"model", fs::path(args.model.path()).filename().string()},
          {"architecture", engine.checkpoint().metadata().text("general.architecture", "")},
          {"layers", c.layers},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"context", engine.context()},
          {"cpu", cpu_name()},
          {"instruction_set", std::string(engine.runner().kernels().name)},
          {"threads", const_cast<engine::Engine&>(engine).runner().threads().size()},
          {"suite", args.suite},
          {"lengths", args.lengths},
          {"seed", args.seed},
          {"mode", eval::ask_mode_name(eval::parse_ask_mode(args.mode, args.answers))},
          {"text", args.books.empty() ? "generated prose" : "books that the user named"},
          {"command", command_of(args)}};
}

int show_report(const EvalArgs& args, const eval::Report& report, const Json& run) {
  Json all = run;
  all.update(eval::report_json(report));
  if (!args.output.empty()) {
    write_file(args.output + "/run.json", run.dump(2) + "\n");
    write_file(args.output + "/results.json",
               all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    write_file(args.output + "/report.html", eval::report_page(report, run));
    if (!report.needle_csv.empty()) {
      write_file(args.output + "/needle.csv", report.needle_csv);
    }
    write_file(args.output + "/results.md", eval::report_table(report, run));
    if (const std::string csv = eval::score_csv(report); !csv.empty()) {
      write_file(args.output + "/table.csv", csv);
      write_file(args.output + "/table.md", eval::score_table(report, run));
    }
  }
  if (args.json) {
    print_json(all);
  } else {
    const std::string caveats = eval::caveats_text(run);
    print_now(eval::report_text(report) + (caveats.empty() ? "" : "\n" + caveats));
    if (!args.output.empty())
      fmt::print(stderr, "report: {0}/report.html, table: {0}/results.md\n", args.output);
  }
  if (!report.steadiness || report.steadiness->same_output) return 0;
  fmt::print(stderr, "error: {}\n", eval::steadiness_text(*report.steadiness));
  return static_cast<int>(ErrorCode::kInternal);
}

int eval_report(const EvalArgs& args) {
  EvalArgs with = args;
  with.output = args.report;
  const ResultFiles files(args.report, OpenResults::kShow);
  if (files.older_prose > 0) {
    fmt::print(stderr,
               "{}/prose.jsonl: {} measurements by an older fathom lack figures and are left out\n"
               "hint: fathom eval ... -o {} --resume, with the options of then, makes them again\n",
               args.report, files.older_prose, args.report);
  }
  const std::string path = args.report + "/run.json";
  const Json run =
      fs::exists(path) ? Json::parse(engine::read_text_file(path), nullptr, false) : Json::object();
  if (!run.is_object()) throw bad_file(path, "is no JSON object");
  return show_report(with, files.report(args.margin / 100), run);
}

eval::Library eval_library(const EvalArgs& args) {
  return args.books.empty() ? eval::Library() : eval::Library::from_folder(args.books);
}

std::vector<std::string> policy_lines(const EvalArgs& args) {
  std::string text = args.policies;
  std::error_code error;  // a list of policies is longer than a name can be
  if (fs::is_regular_file(text, error)) {
    text.clear();
    const std::string file = engine::read_text_file(args.policies);
    for (const std::string_view line : eval::split(file, "\n")) {
      text += std::string(line.substr(0, line.find('#'))) + ";";
    }
  } else if (!text.empty() && text.find_first_of("=;") == std::string::npos) {
    throw with_hint(bad_file(text, "there is no such file of policies"),
                    "name a file with one a line, or policies such as \"store=f32; store=q8\"");
  }
  std::vector<std::string> out;
  for (const std::string_view p : eval::split(text, ";")) {
    if (!eval::trim(p).empty()) out.emplace_back(eval::trim(p));
  }
  if (out.empty()) out.push_back(args.model.kv);
  if (args.controls > 0) {
    for (std::string& line : eval::control_lines(args.controls)) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace fathom::cli
