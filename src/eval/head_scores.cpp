#include "eval/head_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "eval/random.h"

namespace fathom::eval {
namespace {

using engine::TokenId;

// Keys that are in memory at once; the text is read again for further layers.
constexpr size_t kKeyBytes = size_t{1} << 30;
// Of the retrieval heads, those that are chosen for their echo: 1% of all of 15%.
constexpr double kEchoShare = 1.0 / 15;

std::vector<TokenId> usable_tokens(const text::Tokenizer& tokenizer) {
  std::vector<TokenId> out;
  for (TokenId id = 0; static_cast<size_t>(id) < tokenizer.size(); ++id) {
    if (tokenizer.kind(id) == text::TokenKind::kNormal) out.push_back(id);
  }
  return out;
}

void read_text(engine::Runner& runner, const RepeatedText& text, AttentionCollector& collector,
               const Progress& progress) {
  kv::SequenceCache cache = runner.new_cache();
  runner.observe(&collector);
  try {
    runner.read(cache, text.tokens, progress);
  } catch (...) {
    runner.observe(nullptr);
    throw;
  }
  runner.observe(nullptr);
}

HeadScore score_head(const LayerAttention& layer, const RepeatedText& text,
                     std::span<const size_t> rows, size_t head) {
  const size_t kv_head = head / (layer.heads / layer.kv_heads);
  HeadScore sum;
  std::vector<float> weights;
  for (size_t i = 0; i < rows.size(); ++i) {
    const float* q = layer.q.data() + (i * layer.heads + head) * layer.head_dim;
    attention_row(layer, q, kv_head, rows[i], weights);
    for (size_t t = text.begin + (rows[i] - text.begin) % text.block; t < rows[i];
         t += text.block) {
      sum.echo += weights[t];
      sum.induction += weights[t + 1];
    }
  }
  const double n = static_cast<double>(rows.size());
  // Weights of a row add up to one but for rounding.
  return {.echo = std::min(1.0, sum.echo / n), .induction = std::min(1.0, sum.induction / n)};
}

void mark_best(const std::vector<HeadScore>& scores, double HeadScore::*score, size_t count,
               std::vector<float>& marks) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a].*score > scores[b].*score; });
  for (size_t i = 0; i < count; ++i) marks[order[i]] = 1.0f;
}

}  // namespace

size_t repeatable_tokens(const text::Tokenizer& tokenizer) {
  return usable_tokens(tokenizer).size();
}

RepeatedText make_repeated_text(const text::Tokenizer& tokenizer, size_t block, size_t repeats,
                                uint64_t seed) {
  std::vector<TokenId> tokens = usable_tokens(tokenizer);
  FATHOM_CHECK(block <= tokens.size());
  Random(seed).shuffle(tokens);
  tokens.resize(block);
  RepeatedText out;
  out.block = block;
  if (tokenizer.adds_bos() && tokenizer.data().bos) out.tokens.push_back(*tokenizer.data().bos);
  out.begin = out.tokens.size();
  for (size_t i = 0; i < repeats; ++i) {
    out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
  }
  return out;
}

std::vector<HeadScore> score_layer(const LayerAttention& layer, const RepeatedText& text,
                                   std::span<const size_t> rows, ThreadPool& pool) {
  FATHOM_CHECK(layer.q.size() == rows.size() * layer.heads * layer.head_dim);
  for (const size_t row : rows) FATHOM_CHECK(row >= text.begin + text.block);
  std::vector<HeadScore> out(layer.heads);
  pool.run(layer.heads, [&](size_t h, int) { out[h] = score_head(layer, text, rows, h); });
  return out;
}

std::vector<size_t> repeated_rows(const RepeatedText& text, size_t count) {
  const size_t end = text.tokens.size(), there = end - text.begin - text.block;
  const size_t n = std::min(count, there);
  std::vector<size_t> rows;
  for (size_t i = 0; i < n; ++i) rows.push_back(end - 1 - (n - 1 - i) * there / n);
  return rows;
}

double chance_score(const RepeatedText& text, std::span<const size_t> rows) {
  double sum = 0;
  for (const size_t row : rows) {
    const size_t places = (row - text.begin) / text.block;
    sum += static_cast<double>(places) / static_cast<double>(row + 1);
  }
  return sum / static_cast<double>(rows.size());
}

std::optional<std::vector<std::vector<HeadScore>>> score_heads(engine::Runner& runner,
                                                               const RepeatedText& text,
                                                               std::span<const size_t> rows,
                                                               const Progress& progress) {
  FATHOM_CHECK(!runner.policy().prefill && !runner.policy().keep);
  const model::Config& c = runner.config();
  const size_t bytes = text.tokens.size() * c.kv_heads * c.head_dim * sizeof(float);
  const size_t group = std::max<size_t>(1, kKeyBytes / bytes);
  bool goes_on = true;
  const Progress report = [&](const ProgressUpdate& update) {
    goes_on = goes_on && (!progress || progress(update));
    return goes_on;
  };
  std::vector<std::vector<HeadScore>> out;
  for (size_t at = 0; at < c.layers; at += group) {
    AttentionCollector collector(c, at, std::min(at + group, c.layers), rows);
    read_text(runner, text, collector, report);
    for (const LayerAttention& layer : collector.layers()) {
      if (!goes_on) return std::nullopt;
      out.push_back(score_layer(layer, text, rows, runner.threads()));
      report({"scoring", out.size(), c.layers, "layers"});
    }
  }
  if (!goes_on) return std::nullopt;
  return out;
}

std::vector<HeadScore> group_scores(const std::vector<std::vector<HeadScore>>& scores,
                                    size_t kv_heads) {
  std::vector<HeadScore> out(scores.size() * kv_heads);
  for (size_t layer = 0; layer < scores.size(); ++layer) {
    const size_t group = scores[layer].size() / kv_heads;
    for (size_t h = 0; h < scores[layer].size(); ++h) {
      HeadScore& best = out[layer * kv_heads + h / group];
      best.echo = std::max(best.echo, scores[layer][h].echo);
      best.induction = std::max(best.induction, scores[layer][h].induction);
      best.copy = std::max(best.copy, scores[layer][h].copy);
    }
  }
  return out;
}

namespace {

size_t heads_wanted(double share, size_t there) {
  const double wanted = std::round(share * static_cast<double>(there));
  return std::clamp<size_t>(static_cast<size_t>(wanted), 1, there);
}

}  // namespace

kv::HeadTable retrieval_heads(const std::vector<HeadScore>& grouped, size_t kv_heads,
                              double share) {
  kv::HeadTable table{kv_heads, std::vector<float>(grouped.size())};
  const size_t count = heads_wanted(share, grouped.size());
  const auto echo = static_cast<size_t>(std::round(static_cast<double>(count) * kEchoShare));
  mark_best(grouped, &HeadScore::echo, echo, table.values);
  mark_best(grouped, &HeadScore::induction, count - echo, table.values);
  return table;
}

kv::HeadTable copying_heads(const std::vector<HeadScore>& grouped, size_t kv_heads, double share) {
  kv::HeadTable table{kv_heads, std::vector<float>(grouped.size())};
  mark_best(grouped, &HeadScore::copy, heads_wanted(share, grouped.size()), table.values);
  return table;
}

kv::HeadTable copy_table(const std::vector<HeadScore>& grouped, size_t kv_heads) {
  kv::HeadTable table{kv_heads, {}};
  for (const HeadScore& s : grouped) table.values.push_back(static_cast<float>(s.copy));
  return table;
}

kv::HeadTable score_table(const std::vector<HeadScore>& grouped, size_t kv_heads) {
  kv::HeadTable table{kv_heads, {}};
  for (const HeadScore& s : grouped) {
    table.values.push_back(static_cast<float>(std::max(s.echo, s.induction)));
  }
  return table;
}

}  // namespace fathom::eval
