// GemFilter: the tokens of the prompt that the last query of one early layer looks at; the model
// then reads only these, from the first layer on.
//
// Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input Token
// Reduction, 2024, arXiv:2409.17422; scores and choice checked against its repository. Running the
// model twice is the engine's (engine/prompt_filter.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"
#include "kv/view.h"

namespace fathom::kv {

struct GemFilter {
  size_t budget = 1024;  // tokens that are read in the end; a shorter prompt is left alone
  std::optional<size_t> layer = {};  // that is asked; none: two fifths of the depth
  size_t first = 4, last = 64;       // tokens of the prompt that are always among them
  std::shared_ptr<const PrefillPolicy> reader = {};  // of both readings; null: dense
};

const MethodInfo& gemfilter_info();
// Without its reader, which the registry knows.
GemFilter make_gemfilter(const Parameters& parameters);

// Adds to sums[token]: q . k over the query heads of the group, for the view's last query,
// unscaled.
void add_gemfilter_products(const HeadView& head, const QueryView& queries, std::span<double> sums);
// The mean of each and its neighbours, five in all, zeros beyond the ends.
std::vector<float> gemfilter_scores(std::span<const double> sums);
// The filter's choice of the tokens, ascending: those that it forces and, up to its budget, those
// with the largest scores; of equal scores the earlier token.
std::vector<int32_t> gemfilter_tokens(std::span<const float> scores, const GemFilter& filter);

}  // namespace fathom::kv
