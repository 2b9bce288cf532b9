// HyperAttention: queries and keys that point the same way are sorted into blocks that are computed
// exactly; a uniform sample of keys stands for all others.
//
// HyperAttention: Long-context Attention in Near-Linear Time, 2023, arXiv:2310.05869; after the
// method card, which was checked against its repository. No output of that code was at hand.
//
// The chunk's own part is split in halves until `min_len` tokens are left, which are read exactly;
// the second half's queries read the first half's keys by the core, and all queries read the keys
// before the chunk by it. The core: the signs of `bits` random projections, as the index of a Gray
// code, order keys and each head's queries; both are cut into as many blocks as there are `block`
// keys, and block i of the queries reads block i of the keys; `sample` keys, drawn with repeats,
// stand for the others, each for (keys / sample) of them, but for those of the own block. The sum
// of e^score is unbiased.
//
// Different from the repository: halves are cut at pages; the Gray code is the one whose neighbours
// differ in one bit; blocks are equal instead of padded with zero keys; a part is read exactly,
// too, where that takes no more keys than a block and a sample; the first `sinks` keys are always
// read; and a chunk reads what is before it by the core, where the whole prompt is split there.
#pragma once

#include <cstdint>
#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

// Place of a pattern of signs in the Gray code: patterns at neighbouring places differ in one sign.
uint32_t gray_place(uint32_t signs);

const MethodInfo& hyper_info();
std::unique_ptr<const PrefillPolicy> make_hyper(const Parameters& parameters);

}  // namespace fathom::kv
