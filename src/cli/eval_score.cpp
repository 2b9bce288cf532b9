// fathom eval --score: the scores of answers that any program gave.
#include "base/error.h"
#include "cli/eval.h"
#include "cli/terminal.h"
#include "engine/text_file.h"
#include "eval/predictions.h"

namespace fathom::cli {
namespace {

Json estimate_json(const eval::Estimate& e) {
  return {{"score", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
}

std::string points(const eval::Estimate& e) {
  return fmt::format("{:5.1f} [{:.1f}, {:.1f}]", 100 * e.value, 100 * e.interval.low,
                     100 * e.interval.high);
}

Json summary_json(const eval::ScoreSummary& s) {
  Json out = estimate_json(s.mean);
  out["sessions"] = s.sessions;
  out["questions"] = s.questions;
  out["design_effect"] = s.design_effect;
  if (s.by_turn.size() > 1) {
    out["by_turn"] = s.by_turn;
    out["drop_after_first_turn"] = s.drop();
  }
  for (const auto& [task, e] : s.by_task) out["by_task"][task] = estimate_json(e);
  return out;
}

std::string summary_text(const eval::ScoreSummary& s) {
  std::string out = fmt::format("score {} over {} questions in {} sessions\n", points(s.mean),
                                s.questions, s.sessions);
  for (const auto& [task, e] : s.by_task) out += fmt::format("  {:<20} {}\n", task, points(e));
  if (s.by_turn.size() < 2) return out;
  out += "by turn";
  for (const double t : s.by_turn) out += fmt::format(" {:.1f}", 100 * t);
  return out + fmt::format("; the first is {:+.1f} points above the later ones\n", 100 * s.drop());
}

Json comparison_json(const eval::Comparison& c) {
  Json out = {{"difference", c.difference.value},
              {"low", c.difference.interval.low},
              {"high", c.difference.interval.high},
              {"pairs", c.pairs},
              {"sessions", c.sessions},
              {"better", c.second_better},
              {"worse", c.first_better},
              {"seen", c.seen()},
              {"verdict", c.verdict()}};
  if (c.p) out["mcnemar_p"] = *c.p;
  if (c.detectable) out["detectable_difference"] = *c.detectable;
  return out;
}

class Scoring {
 public:
  explicit Scoring(const EvalArgs& args) : args_(args) {
    const eval::Layout layout = eval::parse_layout(args.layout);
    suite_ = layout == eval::Layout::kRuler     ? "ruler"
             : layout == eval::Layout::kScbench ? "scbench"
                                                : "";
    if (args.data.empty()) return;
    instances_ =
        eval::parse_instances(engine::read_text_file(args.data), args.data, layout, args.task);
  }

  std::vector<eval::ScoredSession> score(const std::string& path) const {
    const auto answered = eval::parse_predictions(engine::read_text_file(path), path, instances_);
    if (answered.empty()) throw bad_file(path, "holds no answers");
    return eval::score_predictions(answered, suite_, args_.task);
  }

 private:
  const EvalArgs& args_;
  std::string suite_;
  std::vector<eval::Instance> instances_;
};

}  // namespace

int eval_score(const EvalArgs& args) {
  const Scoring scoring(args);
  const auto sessions = scoring.score(args.score);
  const eval::ScoreSummary summary = eval::summarize(sessions);
  Json json = summary_json(summary);
  std::string out = summary_text(summary);
  if (!args.against.empty()) {
    const auto others = scoring.score(args.against);
    const eval::Comparison c = eval::compare_sessions(others, sessions, args.score);
    json["against"] = summary_json(eval::summarize(others));
    json["comparison"] = comparison_json(c);
    out += fmt::format("{}: {}", args.against, summary_text(eval::summarize(others)));
    out += fmt::format("{} against {}: {}\n", args.score, args.against, c.verdict());
    if (c.p) out += fmt::format("McNemar p {:.3g}\n", *c.p);
  }
  if (args.json) {
    print_json(json);
  } else {
    print_now(out);
  }
  return 0;
}

}  // namespace fathom::cli
