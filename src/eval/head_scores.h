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
#include "eval/attention_rows.h"
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

// Means over queries, each in [0, 1].
struct HeadScore {
  double echo = 0, induction = 0;
  double copy = 0;  // copy_scores.h
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

// The best of each kv head's query heads, for every score, [layers * kv_heads].
std::vector<HeadScore> group_scores(const std::vector<std::vector<HeadScore>>& scores,
                                    size_t kv_heads);

// 1 for `share` of the kv heads, at least one: a fifteenth of them those with the most echo, the
// others those with the most induction. A head that is both counts once, so there may be fewer.
// Of equal scores the first is taken.
kv::HeadTable retrieval_heads(const std::vector<HeadScore>& grouped, size_t kv_heads, double share);

// The same by copy score.
kv::HeadTable copying_heads(const std::vector<HeadScore>& grouped, size_t kv_heads, double share);
kv::HeadTable copy_table(const std::vector<HeadScore>& grouped, size_t kv_heads);

// The larger of both scores.
kv::HeadTable score_table(const std::vector<HeadScore>& grouped, size_t kv_heads);

}  // namespace fathom::eval
