// Tokens of a head from anywhere, brought together in one page that attention can read.
#pragma once

#include <cstdint>
#include <span>

#include "kv/sequence_cache.h"

namespace fathom::kv {

// Copies the tokens with these indices, at most 64 and ascending, to a plain page of the head's
// format and its own memory; slots beyond them hold finite numbers. `positions`, [64], must live as
// long as the view.
kernel::PageView gather_page(const HeadCache& head, size_t head_dim, std::span<const int32_t> keys,
                             PageData to, int32_t* positions);

}  // namespace fathom::kv
