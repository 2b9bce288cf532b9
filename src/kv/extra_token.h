// Attention to a head's extra token, which joins what was attended to in pages.
#pragma once

#include <span>

#include "kernel/attention.h"
#include "kv/attend_layer.h"

namespace fathom::kv {

// `into` stands for `count` more tokens, whose mean key and value these are, [head_dim].
void add_to_extra(ExtraToken& into, std::span<const float> k, std::span<const float> v,
                  double count);

// Row r of the state belongs to a query at q(r), [head_dim]. The state's scores are in base 2, as
// kernels leave them.
template <class Query>
void join_extra_token(const ExtraToken& extra, const AttendLayer& layer,
                      const kernel::AttendState& state, size_t rows, Query q);
void join_extra_row(const ExtraToken& extra, const AttendLayer& layer, const float* q,
                    const kernel::AttendState& row);

template <class Query>
void join_extra_token(const ExtraToken& extra, const AttendLayer& layer,
                      const kernel::AttendState& state, size_t rows, Query q) {
  if (extra.count == 0) return;
  const size_t width = kernel::padded_head_dim(extra.k.size());
  for (size_t r = 0; r < rows; ++r) {
    join_extra_row(extra, layer, q(r), {state.max + r, state.sum + r, state.out + r * width});
  }
}

}  // namespace fathom::kv
