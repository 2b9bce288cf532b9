// GemFilter: the tokens of the prompt that the last query of one early layer looks at; the model
// then reads only these, from the first layer on.
//
// Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input Token
// Reduction, 2024, arXiv:2409.17422; checked against its repository. This is the scoring only:
// running the model twice is the engine's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// Of each token: q . k summed over all query heads, for the last query of each view, unscaled; then
// the mean of five neighbours, zeros beyond the ends. REQUIRES: one view of queries a head, heads
// of equal length.
std::vector<float> gemfilter_scores(std::span<const HeadView> heads,
                                    std::span<const QueryView> queries);
// The k tokens with the largest scores, ascending; of equal scores the earlier token.
std::vector<int32_t> gemfilter_tokens(std::span<const float> scores, size_t k);

}  // namespace fathom::kv
