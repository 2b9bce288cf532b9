#include "eval/copy_scores.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "eval/checks.h"
#include "eval/prompt.h"
#include "eval/sequence.h"
#include "eval/task/task.h"

namespace fathom::eval {
namespace {

std::vector<size_t> answer_rows(const ForcedText& text) {
  std::vector<size_t> rows(text.tokens.size() - text.answer);
  std::iota(rows.begin(), rows.end(), text.answer - 1);
  return rows;
}

bool in_fact(const ForcedText& text, size_t position) {
  return std::any_of(text.gold.begin(), text.gold.end(),
                     [&](const Span& s) { return s.begin <= position && position < s.end; });
}

bool stands_in_fact(const ForcedText& text, engine::TokenId token) {
  for (const Span& s : text.gold) {
    const auto begin = text.tokens.begin() + static_cast<std::ptrdiff_t>(s.begin);
    const auto end = text.tokens.begin() + static_cast<std::ptrdiff_t>(s.end);
    if (std::find(begin, end, token) != end) return true;
  }
  return false;
}

// Reads the text; the share of the answer's tokens that the model finds most likely.
double read_answer(engine::Runner& runner, const ForcedText& text,
                   engine::AttentionObserver& observer) {
  kv::SequenceCache cache = runner.new_cache();
  const std::span<const engine::TokenId> tokens(text.tokens);
  const size_t first = text.answer - 1, n = tokens.size() - 1 - first;
  size_t right = 0;
  runner.observe(&observer);
  try {
    if (first > 0) runner.read(cache, tokens.first(first));
    for (size_t i = 0; i < n; ++i) {
      const engine::StepPart part{&cache, tokens.subspan(first + i, 1)};
      right += likeliest(runner.step({&part, 1})) == tokens[first + i + 1];
    }
  } catch (...) {
    runner.observe(nullptr);
    throw;
  }
  runner.observe(nullptr);
  return double(right) / double(n);
}

}  // namespace

std::vector<ForcedText> copy_texts(const engine::Engine& engine, uint64_t seed, size_t length,
                                   size_t count) {
  const Library prose;
  const Meter meter{[&](std::string_view t) { return engine.tokenizer().encode(t).size(); },
                    frame_tokens(engine, 5)};
  std::vector<Instance> instances;
  Draw draw;
  draw.task = choose_tasks("needle/facts").at(0);
  draw.library = &prose;
  draw.meter = &meter;
  draw.seed = seed;
  draw.length = length;
  draw.instances = count;
  draw.turns = 5;
  for (draw.index = 0; draw.index < count; ++draw.index) instances.push_back(make_instance(draw));
  return answer_windows(engine, instances, length, count);
}

std::vector<double> copied_shares(const LayerAttention& layer, const ForcedText& text) {
  const std::vector<size_t> rows = answer_rows(text);
  FATHOM_CHECK(layer.q.size() == rows.size() * layer.heads * layer.head_dim);
  std::vector<double> out(layer.heads);
  std::vector<float> weights;
  size_t wanted = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const engine::TokenId written = text.tokens[rows[i] + 1];
    if (!stands_in_fact(text, written)) continue;
    ++wanted;
    for (size_t h = 0; h < layer.heads; ++h) {
      const float* q = layer.q.data() + (i * layer.heads + h) * layer.head_dim;
      attention_row(layer, q, h / (layer.heads / layer.kv_heads), rows[i], weights);
      const auto at =
          static_cast<size_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
      if (text.tokens[at] == written && in_fact(text, at)) out[h] += 1;
    }
  }
  for (double& share : out) share /= double(std::max<size_t>(1, wanted));
  return out;
}

std::optional<CopyScores> score_copying(engine::Runner& runner, std::span<const ForcedText> texts,
                                        const Progress& progress) {
  FATHOM_CHECK(!runner.policy().prefill && !runner.policy().keep);
  const model::Config& c = runner.config();
  CopyScores out;
  out.heads.assign(c.layers, std::vector<double>(c.heads));
  for (const ForcedText& text : texts) {
    const std::vector<size_t> rows = answer_rows(text);
    AttentionCollector collector(c, 0, c.layers, rows);
    const bool counts = read_answer(runner, text, collector) >= 0.5;
    ++out.texts;
    out.counted += counts;
    if (!report(progress, {"copying", out.texts, texts.size(), "texts"})) return std::nullopt;
    if (!counts) continue;
    std::vector<std::vector<double>> shares(c.layers);
    runner.threads().run(
        c.layers, [&](size_t l, int) { shares[l] = copied_shares(collector.layers()[l], text); });
    for (size_t l = 0; l < c.layers; ++l) {
      for (size_t h = 0; h < c.heads; ++h) out.heads[l][h] += shares[l][h];
    }
  }
  for (auto& layer : out.heads) {
    for (double& share : layer) share /= double(std::max<size_t>(1, out.counted));
  }
  return out;
}

}  // namespace fathom::eval
