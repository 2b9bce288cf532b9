// fathom eval: instances on a model under several cache policies, side by side.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "cli/eval.h"
#include "cli/result_files.h"
#include "eval/checks.h"
#include "eval/machine.h"
#include "eval/model_traits.h"

namespace fathom::cli {
namespace {

constexpr size_t kDefaultWindows = 10;
constexpr size_t kLeastDepth = 128;     // tokens that decoding is timed behind
constexpr size_t kExplainedSteps = 64;  // decoded

class EvalRun {
 public:
  explicit EvalRun(const EvalArgs& args)
      : args_(args),
        mode_(eval::parse_ask_mode(args.mode, args.answers)),
        mode_name_(eval::ask_mode_name(mode_)),
        suite_(parse_suite(args.suite)),
        files_(args.output, args.resume ? OpenResults::kResume : OpenResults::kNew) {
    for (size_t i = 0; i < files_.results.size(); ++i) {
      const eval::ResultLine& l = files_.results[i];
      answered_.emplace(SessionKey{l.policy, l.mode, l.id}, i);
    }
    if (files_.older_prose > 0) {
      fmt::print(stderr,
                 "{}/prose.jsonl: {} measurements by an older fathom lack figures; what --suite "
                 "names of them is measured again\n",
                 args.output, files_.older_prose);
    }
  }

  int run() {
    load();
    if (!run_all() && files_.results.empty() && files_.prose.empty()) return 130;
    Json run = run_json(args_, *model_);
    if (!interrupted()) run["traits"] = eval::traits_json(eval::measure_traits(*model_));
    progress_.clear();
    const int code = show_report(args_, files_.report(args_.margin / 100), run);
    return interrupted() ? 130 : code;
  }

 private:
  void load() {
    for (const std::string& typed : policy_lines(args_)) {
      const std::string line =
          eval::full_line(typed, kernel::default_kernels().native_kv);  // refuses what is wrong
      if (known_.insert(line).second) policies_.push_back({typed, line});
    }
    ModelOptions options = args_.model.options();
    options.kv = "";
    options.progress = std::ref(progress_);
    model_ = engine::Engine::load(args_.model.path(), options);
    for (const Policy& p : policies_) eval::make_subject(*model_, p.typed);  // refuses early
    const bool tasks = !suite_.tasks.empty() || !args_.data.empty();
    if (!tasks) return;
    instances_ = eval_instances(args_, suite_.tasks, model_->tokenizer(),
                                eval::frame_tokens(*model_, args_.turns));
    if (args_.data.empty()) {
      require_room();
    } else {
      cut_contexts();
    }
  }

  bool run_all() {
    probe("start");
    if (!run_between()) return false;
    probe("end");
    return true;
  }

  // Dense attention, beside which everything else is to be held.
  void probe(const char* when) {
    progress_({"probing dense attention", 0, 1, "runs"});
    eval::ProbeLine line = eval::measure_probe(*model_, args_.repeat > 0);
    line.model = model();
    line.when = when;
    files_.add(line);
  }

  bool run_between() {
    for (size_t i = 0; i < policies_.size() && !instances_.empty(); ++i) {
      if (!run_tasks(i)) return false;
      if (i == 0 && !run_checks()) return false;
    }
    return run_prose() && run_costs() && run_accounts();
  }

  struct Policy {
    std::string typed, line;
  };

  // What a policy is asked: the first everything; others what the first can do.
  eval::Measure asked(size_t policy, const eval::Instance& instance) const {
    if (policy == 0 || args_.ungated) return eval::Measure::kAnswer;
    return gate_.at({instance.suite + "/" + instance.task, instance.length_target});
  }

  bool run_tasks(size_t index) {
    const Policy& policy = policies_[index];
    if (index == 1) note_gate();
    const eval::Subject subject = eval::make_subject(*model_, policy.typed);
    size_t done = 0;
    for (const eval::Instance& instance : instances_) {
      if (interrupted()) return false;
      progress_({fmt::format("policy {} of {}", index + 1, policies_.size()), done++,
                 instances_.size(), "sessions"});
      const eval::Measure measure = asked(index, instance);
      if (measure == eval::Measure::kNone) continue;
      ask(subject, instance, mode_name_, mode_, measure == eval::Measure::kAnswer);
    }
    return !interrupted();
  }

  void note_gate() {
    const eval::Report first = eval::make_report({files_.results});
    for (const eval::PolicyReport& p : first.policies) {
      if (p.policy != policies_[0].line || p.mode != mode_name_) continue;
      for (const eval::Cell& c : p.cells) gate_[{c.task, c.length}] = c.measure;
    }
  }

  // The controls of tasks that the first policy can do.
  bool run_checks() {
    note_gate();
    const eval::Subject subject = eval::make_subject(*model_, policies_[0].typed);
    size_t done = 0;
    for (const eval::Instance& instance : instances_) {
      progress_({"checking tasks", done++, instances_.size(), "sessions"});
      if (interrupted()) return false;
      if (asked(1, instance) != eval::Measure::kAnswer || args_.ungated) continue;
      ask(subject, eval::without_context(instance), std::string(eval::kClosedBook), mode_, true);
      ask(subject, eval::without_gold(instance), std::string(eval::kGoldRemoved), mode_, true);
    }
    return true;
  }

  void ask(const eval::Subject& subject, const eval::Instance& instance, const std::string& mode,
           eval::AskMode how, bool generate) {
    const std::string& line = subject.policy();
    if (answered(instance, line, mode)) return;
    eval::RunOptions options{how, generate, true, instances_};
    const auto answers = eval::run_instance(subject, instance, options,
                                            [](const ProgressUpdate&) { return !interrupted(); });
    if (answers.size() < instance.turns.size() || interrupted()) return;
    std::vector<eval::ResultLine> session;
    for (size_t t = 0; t < answers.size(); ++t) {
      session.push_back({model(), line, mode, instance.suite, instance.task, instance.id,
                         instance.turns[t].task, instance.length_target, instance.seed, t,
                         instance.turns.size(), eval::depth_of(instance, instance.turns[t]),
                         instance.cut_tokens, eval::chance_of(instance, instance.turns[t]),
                         answers[t]});
    }
    answered_[{line, mode, instance.id}] = files_.results.size();
    files_.add(session);
  }

  // Whether the folder holds this session; refuses one of other settings.
  bool answered(const eval::Instance& instance, const std::string& policy,
                const std::string& mode) const {
    const auto it = answered_.find({policy, mode, instance.id});
    if (it == answered_.end()) return false;
    const eval::ResultLine& l = files_.results[it->second];
    if (l.seed == instance.seed && l.model == model() && l.turns == instance.turns.size()) {
      return true;
    }
    throw with_hint(usage_error("--resume", "{} holds '{}' of another model, seed or --turns",
                                args_.output, l.id),
                    "name another folder");
  }

  // Every policy against the first, on the same text.
  bool run_prose() {
    if (!suite_.divergence && !suite_.books) return true;
    const eval::Library library = eval_library(args_);
    for (size_t i = 1; i < policies_.size(); ++i) {
      for (const size_t length : parse_lengths(args_.lengths)) {
        if (suite_.divergence && !diverge(i, library, length)) return false;
        if (suite_.books && !read_books(i, library, length)) return false;
      }
    }
    if (policies_.size() == 1) {
      // Perplexity needs no second policy.
      for (const size_t length : parse_lengths(args_.lengths)) {
        if (suite_.books && !read_books(0, library, length)) return false;
        if (suite_.divergence) {
          throw with_hint(
              usage_error("--policies", "a divergence is between two policies or more"),
              "for example --policies \"store=f32;store=f16\"; the first is the reference");
        }
      }
    }
    return true;
  }

  size_t windows() const { return args_.instances > 0 ? args_.instances : kDefaultWindows; }

  bool diverge(size_t policy, const eval::Library& library, size_t length) {
    const auto texts = eval::prose_windows(*model_, library, args_.seed, length, windows());
    const char* name = library.generated() ? "generated prose" : "books";
    const auto answers = eval::answer_windows(*model_, instances_, length, windows());
    if (suite_.decode_only) {
      return measure(policy, texts, length, eval::PositionSet::kDecode, name);
    }
    return measure(policy, texts, length, eval::PositionSet::kPrefill, name) &&
           measure(policy, texts, length, eval::PositionSet::kDecode, name) &&
           measure(policy, answers, length, eval::PositionSet::kAnswer, "answers");
  }

  bool read_books(size_t policy, const eval::Library& library, size_t length) {
    const auto both = [&](const std::vector<eval::ForcedText>& texts, const std::string& name) {
      return measure(policy, texts, length, eval::PositionSet::kPrefill, name) &&
             measure(policy, texts, length, eval::PositionSet::kDecode, name);
    };
    if (library.generated()) {
      return both(eval::prose_windows(*model_, library, args_.seed, length, windows()),
                  "generated prose");
    }
    for (const eval::Book& book : library.books()) {
      if (!both(eval::book_windows(*model_, book, length, windows()), book.name)) return false;
    }
    return true;
  }

  bool measure(size_t policy, const std::vector<eval::ForcedText>& texts, size_t length,
               eval::PositionSet positions, const std::string& name) {
    if (interrupted()) return false;
    eval::ProseLine line;
    line.model = model();
    line.policy = policies_[policy].line;
    line.reference = policies_[0].line;
    line.length = length;
    line.positions = eval::position_set_name(positions);
    line.text = name;
    line.seed = args_.seed;
    line.asked = texts.size();
    if (texts.empty() || measured(line)) return true;
    eval::DivergenceOptions options;
    options.positions = positions;
    options.decode_tokens = std::min<size_t>(128, length / 4);
    const auto watch = eval::Watch::kAlsoAll;
    line.result =
        eval::measure_divergence(eval::make_subject(*model_, policies_[0].typed, watch),
                                 eval::make_subject(*model_, policies_[policy].typed, watch), texts,
                                 options, std::ref(progress_));
    if (interrupted()) return false;
    files_.add(line);
    return true;
  }

  bool measured(const eval::ProseLine& line) const {
    for (const eval::ProseLine& l : files_.prose) {
      if (l.policy == line.policy && l.reference == line.reference && l.length == line.length &&
          l.positions == line.positions && l.text == line.text && l.model == line.model &&
          l.seed == line.seed && l.asked == line.asked) {
        return true;
      }
    }
    return false;
  }

  // Policies in turn, so that a machine that grows slower is slower for all.
  bool run_costs() {
    if (args_.repeat == 0) return true;
    eval::CostOptions options;
    const size_t more = options.question + options.steps + 1;
    const std::set<size_t> lengths = timed_lengths(2 * more);
    if (!lengths.empty()) {
      engine::Runner& runner = model_->runner();
      options.read_bytes_per_second = eval::measure_read_speed(runner.threads(), runner.kernels());
    }
    const eval::Library prose;
    size_t done = 0;
    for (const size_t length : lengths) {
      const size_t read = std::min(length, model_->context() - more);
      options.depths = shorter_depths(lengths, read);
      const auto text = eval::prose_windows(*model_, prose, args_.seed, read + more, 1)[0].tokens;
      for (size_t run = 0; run <= args_.repeat; ++run) {  // the first warms up
        for (const Policy& p : policies_) {
          if (interrupted()) return false;
          progress_(
              {"timing", done++, lengths.size() * (args_.repeat + 1) * policies_.size(), "runs"});
          if (run > 0 && timed(p.line, read, run)) continue;
          eval::CostLine line =
              eval::measure_cost(eval::make_subject(*model_, p.typed), text, read, options);
          line.model = model();
          line.run = run;
          if (run > 0) files_.add(line);
        }
      }
    }
    return true;
  }

  // Of everything that was asked for, above `least` tokens.
  std::set<size_t> timed_lengths(size_t least) const {
    std::set<size_t> out;
    for (const eval::Instance& i : instances_) out.insert(i.length_target);
    if (suite_.divergence || suite_.books) {
      for (const size_t length : parse_lengths(args_.lengths)) out.insert(length);
    }
    out.erase(out.begin(), out.upper_bound(least));
    return out;
  }

  // Where steps are timed besides, once: a quarter, a sixteenth and so on of the longest length,
  // where no other length is near.
  static std::vector<size_t> shorter_depths(const std::set<size_t>& lengths, size_t read) {
    std::vector<size_t> out;
    if (read < *lengths.rbegin() / 2) return out;
    for (size_t depth = read / 4; depth >= kLeastDepth; depth /= 4) {
      const auto near = [&](size_t l) { return l > depth / 2 && l < 2 * depth; };
      if (std::none_of(lengths.begin(), lengths.end(), near)) out.insert(out.begin(), depth);
    }
    return out;
  }

  bool timed(const std::string& policy, size_t length, size_t run) const {
    for (const eval::CostLine& l : files_.costs) {
      if (l.policy == policy && l.length == length && l.run == run && l.model == model()) {
        return true;
      }
    }
    return false;
  }

  // What every policy stands on, reading a text of the longest length.
  bool run_accounts() {
    if (!args_.explain) return true;
    const std::set<size_t> lengths = timed_lengths(2 * kExplainedSteps);
    if (lengths.empty()) return true;
    const size_t read = std::min(*lengths.rbegin(), model_->context() - kExplainedSteps);
    const auto text =
        eval::prose_windows(*model_, eval_library(args_), args_.seed, read + kExplainedSteps, 1);
    size_t done = 0;
    for (const Policy& p : policies_) {
      if (interrupted()) return false;
      progress_({"explaining", done++, policies_.size(), "policies"});
      if (explained(p.line, read)) continue;
      const auto subject = eval::make_subject(*model_, p.typed, eval::Watch::kAccount);
      files_.add(eval::make_account_line(model(), p.line, read,
                                         eval::measure_account(subject, text[0].tokens, read)));
    }
    return true;
  }

  bool explained(const std::string& policy, size_t length) const {
    return std::any_of(files_.accounts.begin(), files_.accounts.end(), [&](const auto& l) {
      return l.policy == policy && l.length == length && l.model == model();
    });
  }

  void require_room() const {
    for (const eval::Instance& i : instances_) {
      if (i.length_target <= model_->context()) continue;
      throw with_hint(usage_error("--lengths", "'{}' has {} tokens, the context {}", i.id,
                                  i.length_target, model_->context()),
                      fmt::format("ask for a larger context (--ctx {}), if the model was made for "
                                  "it, or for shorter --lengths",
                                  i.length_target));
    }
  }

  // Files of other people hold what they hold.
  void cut_contexts() {
    size_t cut = 0, tokens = 0;
    for (eval::Instance& i : instances_) {
      const size_t n = eval::cut_middle(*model_, i, model_->context(), mode_);
      cut += n > 0;
      tokens += n;
    }
    if (cut == 0) return;
    fmt::print(stderr,
               "cut: {} of {} contexts are longer than {} tokens with their questions; their "
               "middle was left out ({} tokens each in the mean), and with it perhaps answers\n",
               cut, instances_.size(), model_->context(), tokens / cut);
  }

  std::string model() const {
    return std::filesystem::path(args_.model.path()).filename().string();
  }

  using SessionKey = std::tuple<std::string, std::string, std::string>;

  const EvalArgs& args_;
  eval::AskMode mode_;
  std::string mode_name_;
  SuiteChoice suite_;
  ResultFiles files_;
  std::shared_ptr<engine::Engine> model_;
  std::vector<Policy> policies_;
  std::set<std::string> known_;
  std::vector<eval::Instance> instances_;
  std::map<std::pair<std::string, size_t>, eval::Measure> gate_;
  std::map<SessionKey, size_t> answered_;  // the session's first line
  ProgressLine progress_;
};

}  // namespace

int eval_run(const EvalArgs& args) { return EvalRun(args).run(); }

}  // namespace fathom::cli
