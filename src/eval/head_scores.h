// Which heads copy from the context: what heads attend to while a model reads random tokens again
// and again, after RazorAttention's search (Tang et al., 2024, arXiv:2407.15891).
//
// A block of random tokens, all different, stands several times in a row. A query of the second and
// later times has met its token before. Echo is its attention to those places, induction that to
// the tokens after them. Windows and soft caps count as the model has them. Everything is
// deterministic.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "engine/runner.h"
#include "kv/head_table.h"
#include "text/tokenizer.h"

namespace fathom::eval {

struct RepeatedText {
  std::vector<engine::TokenId> tokens;
  size_t begin = 0;  // of the first block: after the token that begins texts, if there is one
  size_t block = 0;
};

// Tokens that text can be made of.
size_t repeatable_tokens(const text::Tokenizer& tokenizer);

// REQUIRES: block <= repeatable_tokens(tokenizer).
RepeatedText make_repeated_text(const text::Tokenizer& tokenizer, size_t block, size_t repeats,
                                uint64_t seed);

// What one layer attends with.
struct LayerAttention {
  size_t heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1.0f, soft_cap = 0.0f;
  int32_t window = 0;
  std::vector<float> q;  // [rows][heads][head_dim], of chosen tokens only
  std::vector<float> k;  // [tokens][kv_heads][head_dim]
};

// Means over queries, each in [0, 1].
struct HeadScore {
  double echo = 0, induction = 0;
};

// By query head. `rows`: the tokens that q is of. REQUIRES: each after the first block.
std::vector<HeadScore> score_layer(const LayerAttention& layer, const RepeatedText& text,
                                   std::span<const size_t> rows, ThreadPool& pool);

// At most `count` tokens after the first block, evenly spread.
std::vector<size_t> repeated_rows(const RepeatedText& text, size_t count);

// Either score of a head that attends to everything alike.
double chance_score(const RepeatedText& text, std::span<const size_t> rows);

// [layers][heads]. Reports "reading" and "scoring"; nothing where a report ended it.
// REQUIRES: the runner's policy is dense and keeps all.
std::optional<std::vector<std::vector<HeadScore>>> score_heads(engine::Runner& runner,
                                                               const RepeatedText& text,
                                                               std::span<const size_t> rows,
                                                               const Progress& progress);

// The best of each kv head's query heads, for either score, [layers * kv_heads].
std::vector<HeadScore> group_scores(const std::vector<std::vector<HeadScore>>& scores,
                                    size_t kv_heads);

// 1 for `share` of the kv heads, at least one: a fifteenth of them those with the most echo, the
// others those with the most induction. A head that is both counts once, so there may be fewer.
// Of equal scores the first is taken.
kv::HeadTable retrieval_heads(const std::vector<HeadScore>& grouped, size_t kv_heads, double share);

// The larger of both scores.
kv::HeadTable score_table(const std::vector<HeadScore>& grouped, size_t kv_heads);

}  // namespace fathom::eval
