#include "eval/checks.h"

#include <algorithm>

#include "eval/prompt.h"
#include "eval/task_score.h"

namespace fathom::eval {

Instance without_context(Instance instance) {
  instance.context.clear();
  for (Turn& t : instance.turns) t.gold.clear();
  return instance;
}

Instance without_gold(Instance instance) {
  std::vector<Span> spans;
  for (Turn& t : instance.turns) {
    spans.insert(spans.end(), t.gold.begin(), t.gold.end());
    t.gold.clear();
  }
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::string left;
  size_t at = 0;
  for (const Span& s : spans) {
    if (s.end <= at) continue;
    left += instance.context.substr(at, std::max(at, s.begin) - at);
    at = s.end;
  }
  left += instance.context.substr(at);
  instance.context = std::move(left);
  return instance;
}

double chance_of(const Instance& instance, const Turn& turn) {
  if (!turn.options.empty()) return 1.0 / double(turn.options.size());
  // Its kinds offer two labels to seven letters; the most that guessing gives.
  if (instance.task_of(turn) == "many_shot") return 0.5;
  return 0;
}

double depth_of(const Instance& instance, const Turn& turn) {
  if (instance.depth >= 0) return instance.depth;
  if (turn.gold.size() != 1 || instance.context.empty()) return -1;
  return double(turn.gold[0].begin) / double(instance.context.size());
}

std::vector<ForcedText> answer_windows(const engine::Engine& engine,
                                       std::span<const Instance> instances, size_t length,
                                       size_t count) {
  std::vector<ForcedText> out;
  for (const bool facts : {true, false}) {
    for (const Instance& i : instances) {
      if (out.size() >= count) return out;
      if (i.length_target != length || (i.task == "facts") != facts || i.turns.empty()) continue;
      const size_t turn = out.size() % i.turns.size();
      if (i.turns[turn].answers.empty() || i.turns[turn].answers[0].size() > 100) continue;
      ForcedText text;
      text.tokens = question_prompt(engine, i, turn, AskMode::kSingle);
      text.prompt = blind_prefix(engine, i, {text.tokens});
      const auto lead = lead_tokens(engine, i.turns[turn]);
      text.tokens.insert(text.tokens.end(), lead.begin(), lead.end());
      text.answer = text.tokens.size();
      text.gold = gold_tokens(engine, i, turn, text.tokens);
      const auto answer = answer_tokens(engine, i.turns[turn], gold_text(i, turn));
      text.tokens.insert(text.tokens.end(), answer.begin(), answer.end());
      const bool usable = text.prompt >= 1 && text.answer > text.prompt && !answer.empty() &&
                          text.tokens.size() <= engine.context();
      if (usable) out.push_back(std::move(text));
    }
  }
  return out;
}

}  // namespace fathom::eval
