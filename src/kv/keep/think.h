// ThinK: which channels of a kv head's keys matter to its queries. Tokens all stay; the
// store makes thin key pages (kv/store/think.h), so this is not a method of KEEP by itself.
//
// Xu et al., "ThinK: Thinner Key Cache by Query-Driven Pruning", 2024, arXiv:2407.21018. Checked
// against the authors' repository (per query head) and kvpress (group mean): scores and channels
// are equal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// score[c] = mean of q[c]^2 over the window's queries and the group, times mean of k[c]^2 over the
// tokens. [head_dim]; tokens * head_dim multiply-adds.
std::vector<float> channel_scores(const HeadView& head, const QueryView& window);

// The `kept` channels with the largest scores, ascending. Of equal scores the lower channel.
std::vector<int32_t> top_channels(std::span<const float> scores, size_t kept);
// The channels that stay when floor(ratio * head_dim) are dropped, ascending. Of equal scores the
// lower channel stays.
std::vector<int32_t> kept_channels(std::span<const float> scores, double ratio);

}  // namespace fathom::kv
