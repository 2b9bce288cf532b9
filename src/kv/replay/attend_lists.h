// Attention over chosen keys, by definition: what a recording's policies are judged by, and what
// kernels for lists can be tested against. Arithmetic in f64.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

// A scaled score as the head's attention has it.
double capped(const HeadView& head, double score);

// Indices of the keys that the query with this index sees of a list, ascending.
void visible_keys(const RowList& list, size_t query, std::vector<int32_t>& keys);

// Leaves out keys before index `first`, and their `counts`, of which there are as many, or none.
void drop_before(size_t first, std::vector<int32_t>& keys, std::vector<float>& counts);

// out [head_dim] = softmax over the keys of scale * q . k, with the head's soft cap, times v;
// returns ln sum e^score. No keys: 0 and -inf. Where `counts` is not empty, e^score of key i counts
// counts[i] times. REQUIRES: head.v is set.
double attend_keys(const HeadView& head, const float* q, std::span<const int32_t> keys, float* out,
                   std::span<const float> counts = {});

}  // namespace fathom::kv
