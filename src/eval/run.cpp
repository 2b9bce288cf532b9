#include "eval/run.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/progress.h"
#include "eval/candidates.h"
#include "eval/gold_pages.h"
#include "eval/sequence.h"

namespace fathom::eval {
namespace {

using engine::Engine;
using engine::TokenId;
using Clock = std::chrono::steady_clock;
using Tokens = std::vector<TokenId>;

constexpr size_t kMostForced = 64;  // tokens of a gold answer

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

class InstanceRun {
 public:
  InstanceRun(const Subject& subject, const Instance& instance, const RunOptions& options,
              const Progress& progress)
      : subject_(subject),
        engine_(*subject.engine),
        instance_(instance),
        options_(options),
        progress_(progress) {}

  std::vector<QueryResult> run() {
    for (size_t t = 0; t < instance_.turns.size(); ++t) {
      prompts_.push_back(question_prompt(engine_, instance_, t, options_.mode));
      gold_.push_back(gold_tokens(engine_, instance_, t, prompts_[t]));
    }
    mark_gold();
    if (options_.mode == AskMode::kMultiRequest) {
      requests();
    } else {
      turns();
    }
    return std::move(results_);
  }

 private:
  // Where the context lies is the same in every prompt, but for the question before it.
  void mark_gold() {
    subject_.marks->gold.clear();
    for (const auto& spans : gold_) {
      subject_.marks->gold.insert(subject_.marks->gold.end(), spans.begin(), spans.end());
    }
  }

  Sequence new_sequence() const {
    return Sequence(engine_, subject_.reselects ? Sequence::AfterTurns::kReselect
                                                : Sequence::AfterTurns::kLeave);
  }

  void requests() {
    Sequence shared = new_sequence();
    const size_t prefix = blind_prefix(engine_, instance_, prompts_);
    const auto start = Clock::now();
    if (!shared.read(std::span(prompts_[0]).first(prefix), progress_)) return;
    const double seconds = seconds_since(start);
    std::vector<Sequence> asked;
    for (size_t t = 0; t < prompts_.size(); ++t) {
      asked.push_back(shared.fork());
      const auto begun = Clock::now();
      asked[t].append_turn(std::span(prompts_[t]).subspan(prefix));
      QueryResult& r = results_.emplace_back();
      r.first_token_seconds = seconds_since(begun);
      r.read_tokens = prompts_[t].size() - prefix + (t == 0 ? prefix : 0);
      r.read_seconds = r.first_token_seconds + (t == 0 ? seconds : 0);
    }
    for (size_t t = 0; t < asked.size(); ++t) judge_gold(asked[t], t, results_[t]);
    if (!answer(asked, 0)) results_.clear();
  }

  // One sequence that grows, or one for each question.
  void turns() {
    Sequence session = new_sequence();
    for (size_t t = 0; t < prompts_.size(); ++t) {
      if (options_.mode == AskMode::kSingle) session = new_sequence();
      const auto begun = Clock::now();
      QueryResult& r = results_.emplace_back();
      r.read_tokens = go_to(session, prompts_[t]);
      if (r.read_tokens == 0) return results_.clear();
      r.read_seconds = r.first_token_seconds = seconds_since(begun);
      judge_gold(session, t, r);
      if (options_.mode == AskMode::kOwnTurns) {
        if (!answer({&session, 1}, t)) return results_.clear();
        if (t + 1 < prompts_.size()) {
          prompts_[t + 1] = prompt_after(engine_, instance_, t + 1, prompts_[t], own_);
        }
        continue;
      }
      Sequence fork = session.fork();  // what is generated is dropped with it
      if (!answer({&fork, 1}, t)) return results_.clear();
    }
  }

  // Makes the sequence hold `prompt`; the tokens read, 0 for an early end.
  size_t go_to(Sequence& sequence, const Tokens& prompt) {
    if (engine_.runner().policy().filter) sequence = new_sequence();  // chooses for each question
    if (sequence.tokens().empty()) return sequence.read(prompt, progress_) ? prompt.size() : 0;
    const auto [a, b] = std::mismatch(sequence.tokens().begin(), sequence.tokens().end(),
                                      prompt.begin(), prompt.end());
    const auto same = std::min(static_cast<size_t>(b - prompt.begin()), prompt.size() - 1);
    sequence.truncate(same);
    sequence.append_turn(std::span(prompt).subspan(same));
    return prompt.size() - same;
  }

  bool answer(std::span<Sequence> asked, size_t first) {
    // A conversation goes on with what was answered.
    if (!options_.generate && options_.mode != AskMode::kOwnTurns) {
      for (size_t i = 0; i < asked.size(); ++i) {
        results_[first + i].generated = false;
        results_[first + i].kv_bytes = asked[i].cache().bytes();
      }
      return report(progress_, {"answering", 1, 1, "questions"});
    }
    std::vector<size_t> most;
    for (size_t i = 0; i < asked.size(); ++i) {
      const size_t wanted = instance_.turns[first + i].max_new;
      most.push_back(wanted == 0 ? 128 : wanted);
    }
    std::vector<std::string> stops;
    if (!engine_.chat_template()) stops = {"\n\n"};
    bool going = true;
    auto answers = Together(engine_, asked).answer(most, stops, [&](const ProgressUpdate& u) {
      return going = report(progress_, u);
    });
    for (size_t i = 0; i < asked.size(); ++i) {
      QueryResult& r = results_[first + i];
      r.output = answers[i].text;
      r.score = score_output(instance_, first + i, r.output);
      r.rouge_l = needle_rouge(instance_, first + i, r.output);
      r.named = named_items(instance_, first + i, r.output);
      r.output_tokens = answers[i].tokens.size();
      r.decode_seconds = answers[i].seconds;
      r.kv_bytes = asked[i].cache().bytes();
      r.cut = answers[i].cut;
    }
    own_ = {std::move(answers.back().tokens), std::move(answers.back().text)};
    return going;
  }

  void judge_gold(const Sequence& begun, size_t turn, QueryResult& r) {
    const GoldKept kept = gold_kept(begun.cache(), gold_[turn]);
    r.gold_kept = kept.tokens;
    r.gold_layers = kept.layers;
    const Turn& t = instance_.turns[turn];
    const Tokens lead = lead_tokens(engine_, t);
    if (!options_.force || t.answers.empty() || !fits(begun, lead)) return;
    Sequence asked = begun.fork();
    asked.append(lead);
    Tokens gold = answer_tokens(engine_, t, gold_text(instance_, turn));
    const bool whole = gold.size() <= kMostForced;
    gold.resize(std::min(gold.size(), kMostForced));
    if (gold.empty() || !fits(asked, gold)) return;
    const GoldWatch watch(*subject_.marks, asked.cache(), gold_[turn]);
    const double nll = total(forced(asked, {gold})[0]);
    r.gold_nll = nll / double(gold.size());
    r.gold_fetched = engine_.runner().policy().fetch ? watch.share() : std::nullopt;
    if (whole) choose(asked, turn, nll, r);
  }

  void choose(const Sequence& asked, size_t turn, double gold_nll, QueryResult& r) {
    std::vector<Tokens> others;
    for (const std::string& text : candidates(instance_, turn, options_.others)) {
      others.push_back(answer_tokens(engine_, instance_.turns[turn], text));
      if (others.back().empty() || !fits(asked, others.back())) return;
    }
    if (others.size() < 2) return;
    r.choices = others.size();
    others.erase(others.begin());  // the gold
    r.chosen = true;
    for (const auto& nll : forced(asked, others)) {
      if (total(nll) <= gold_nll) r.chosen = false;
    }
  }

  bool fits(const Sequence& asked, const Tokens& more) const {
    return asked.tokens().size() + more.size() <= engine_.context();
  }

  std::vector<std::vector<double>> forced(const Sequence& asked,
                                          const std::vector<Tokens>& texts) const {
    std::vector<Sequence> forks;
    for (size_t i = 0; i < texts.size(); ++i) forks.push_back(asked.fork());
    return Together(engine_, forks).surprises(texts);
  }

  const Subject& subject_;
  Engine& engine_;
  const Instance& instance_;
  const RunOptions& options_;
  const Progress& progress_;
  std::vector<Tokens> prompts_;
  OwnAnswer own_;                        // the last
  std::vector<std::vector<Span>> gold_;  // of each turn, in tokens of its prompt
  std::vector<QueryResult> results_;
};

}  // namespace

std::vector<QueryResult> run_instance(const Subject& subject, const Instance& instance,
                                      const RunOptions& options, const Progress& progress) {
  return InstanceRun(subject, instance, options, progress).run();
}

}  // namespace fathom::eval
