// fathom eval: instances on a model under several cache policies, side by side.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "base/error.h"
#include "cli/eval.h"
#include "cli/terminal.h"
#include "engine/text_file.h"
#include "eval/report.h"
#include "eval/score/text.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

// Appends whole sessions to DIR/results.jsonl, so that what an interrupt leaves can be resumed.
class ResultFile {
 public:
  ResultFile(const std::string& folder, bool resume) : path_(folder + "/results.jsonl") {
    if (folder.empty()) return;
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw bad_file(folder, "{}", error.message());
    if (fs::exists(path_)) {
      if (!resume) {
        throw with_hint(usage_error("-o", "{} has results already", folder),
                        "--resume goes on with them; or name another folder");
      }
      read();
    }
    file_.open(path_, std::ios::app | std::ios::binary);
    if (!file_) throw bad_file(path_, "cannot be written");
  }

  void add(const std::vector<eval::ResultLine>& session) {
    lines.insert(lines.end(), session.begin(), session.end());
    if (!file_.is_open()) return;
    for (const eval::ResultLine& l : session) file_ << eval::result_line(l);
    file_.flush();
    if (!file_) throw bad_file(path_, "cannot be written");
  }

  std::vector<eval::ResultLine> lines;

 private:
  // What an interrupt left of a last line is cut off.
  void read() {
    const std::string text = engine::read_text_file(path_);
    const size_t whole = text.rfind('\n') + 1;  // 0 where there is none
    if (whole < text.size()) fs::resize_file(path_, whole);
    lines = eval::complete_sessions(eval::parse_results(text.substr(0, whole), path_));
  }

  std::string path_;
  std::ofstream file_;
};

class EvalRun {
 public:
  explicit EvalRun(const EvalArgs& args)
      : args_(args), mode_(eval::parse_ask_mode(args.mode)), results_(args.output, args.resume) {}

  int run() {
    for (const std::string& policy : policy_lines(args_)) {
      if (!run_policy(policy)) break;
    }
    progress_.clear();
    const eval::Report report = eval::make_report(results_.lines);
    if (args_.json) {
      print_json(json(report));
    } else {
      print_now(eval::report_text(report));
    }
    return interrupted() ? 130 : 0;
  }

 private:
  bool run_policy(const std::string& policy) {
    ModelOptions options = args_.model.options();
    options.kv = policy;
    options.progress = std::ref(progress_);
    const auto engine = engine::Engine::load(args_.model.path(), options);
    if (instances_.empty()) {
      instances_ =
          eval_instances(args_, engine->tokenizer(), eval::frame_tokens(*engine, args_.turns));
      require_room(*engine);
    }
    const std::string line = engine->runner().policy().line;
    size_t done = 0;
    for (const eval::Instance& instance : instances_) {
      if (interrupted()) return false;
      progress_({"evaluating", done++, instances_.size(), "sessions"});
      if (!answered(instance, line)) results_.add(ask(engine, instance, line));
    }
    return !interrupted();
  }

  void require_room(const engine::Engine& engine) const {
    for (const eval::Instance& i : instances_) {
      if (i.length_target <= engine.context()) continue;
      throw with_hint(usage_error("--lengths", "'{}' has {} tokens, the context {}", i.id,
                                  i.length_target, engine.context()),
                      fmt::format("ask for a larger context (--ctx {}), if the model was made for "
                                  "it, or for shorter --lengths",
                                  i.length_target));
    }
  }

  // Whether the folder holds this session; refuses one of other settings.
  bool answered(const eval::Instance& instance, const std::string& policy) const {
    for (const eval::ResultLine& l : results_.lines) {
      if (l.id != instance.id || l.policy != policy || l.mode != args_.mode) continue;
      if (l.seed == instance.seed && l.model == model() && l.turns == instance.turns.size()) {
        return true;
      }
      throw with_hint(usage_error("--resume", "{} holds '{}' of another model, seed or --turns",
                                  args_.output, l.id),
                      "name another folder");
    }
    return false;
  }

  std::string model() const { return fs::path(args_.model.path()).filename().string(); }

  std::vector<eval::ResultLine> ask(const std::shared_ptr<engine::Engine>& engine,
                                    const eval::Instance& instance, const std::string& policy) {
    const auto answers = eval::run_instance(engine, instance, mode_,
                                            [](const ProgressUpdate&) { return !interrupted(); });
    std::vector<eval::ResultLine> out;
    if (answers.size() < instance.turns.size() || interrupted()) return out;
    for (size_t t = 0; t < answers.size(); ++t) {
      out.push_back({model(), policy, args_.mode, instance.suite, instance.task, instance.id,
                     instance.turns[t].task, instance.length_target, instance.seed, t,
                     instance.turns.size(), answers[t]});
    }
    return out;
  }

  static Json estimate(const eval::Estimate& e) {
    return {{"score", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
  }

  Json json(const eval::Report& report) const {
    Json out = {{"model", model()}, {"seed", args_.seed}};
    for (size_t i = 0; i < report.policies.size(); ++i) {
      const eval::PolicyReport& p = report.policies[i];
      Json one = {{"policy", p.policy},
                  {"mode", p.mode},
                  {"mean", estimate(p.mean)},
                  {"questions", p.cost.questions},
                  {"cut", p.cost.cut},
                  {"prefill_tokens_per_second", p.cost.prefill_tokens_per_second},
                  {"decode_tokens_per_second", p.cost.decode_tokens_per_second},
                  {"time_to_first_token_seconds", p.cost.first_token_seconds},
                  {"kv_bytes", p.cost.kv_bytes}};
      for (const eval::Cell& c : p.cells) {
        Json cell = estimate(c.summary.mean);
        cell["task"] = c.task;
        cell["length"] = c.length;
        cell["sessions"] = c.summary.sessions;
        cell["by_turn"] = c.summary.by_turn;
        one["tasks"].push_back(std::move(cell));
      }
      if (i > 0) {
        const eval::Comparison& d = report.against_first[i - 1];
        one["against_first"] = {{"difference", d.difference.value},
                                {"low", d.difference.interval.low},
                                {"high", d.difference.interval.high},
                                {"seen", d.seen()},
                                {"verdict", d.verdict()}};
      }
      out["policies"].push_back(std::move(one));
    }
    return out;
  }

  const EvalArgs& args_;
  eval::AskMode mode_;
  ResultFile results_;
  std::vector<eval::Instance> instances_;
  ProgressLine progress_;
};

}  // namespace

std::vector<std::string> policy_lines(const EvalArgs& args) {
  std::vector<std::string> out;
  for (const std::string_view p : eval::split(args.policies, ";")) {
    if (!eval::trim(p).empty()) out.emplace_back(eval::trim(p));
  }
  if (out.empty()) out.push_back(args.model.kv);
  return out;
}

int eval_run(const EvalArgs& args) { return EvalRun(args).run(); }

}  // namespace fathom::cli
