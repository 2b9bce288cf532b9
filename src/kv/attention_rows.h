// Attention weights of a few queries over all stored keys, for policies that decide by them.
#pragma once

#include <span>

#include "base/function_ref.h"
#include "kv/view.h"

namespace fathom::kv {

// Calls row(group head, query, weights) for every query and query head: weights[t] is the softmax
// weight of stored token t, over the tokens at positions up to the query's, which are all of
// weights; with the head's soft cap, and 0 before its window. A query's heads follow each other.
// Keys are read once for every 8 queries and head; group * tokens * n * head_dim multiply-adds.
using WeightsRow = FunctionRef<void(size_t head, size_t query, std::span<const float> weights)>;
void for_each_weights_row(const HeadView& head, const QueryView& queries, WeightsRow row);

// out[t] = sum over the queries, mean over the group, of the weights above. [head.tokens]
void received_attention(const HeadView& head, const QueryView& queries, std::span<float> out);

// The same, added to out.
void add_received_attention(const HeadView& head, const QueryView& queries, std::span<float> out);

// q . k of one query row with keys [first, end), unscaled.
void key_scores(const HeadView& head, const float* q, size_t first, std::span<float> out);

// Stored tokens at positions up to `position`: they come first.
size_t tokens_up_to(const HeadView& head, size_t position);
// Those of them that a query at `position` no longer sees, by the head's window: the very first.
size_t tokens_behind(const HeadView& head, size_t position);

// Caps scaled scores as the head's attention does.
void cap_scores(const HeadView& head, std::span<float> scores);
// Scaled scores of the first stored tokens become the weights of a query at `position`: capped, 0
// before the head's window.
void attention_weights(const HeadView& head, size_t position, std::span<float> scores);

}  // namespace fathom::kv
