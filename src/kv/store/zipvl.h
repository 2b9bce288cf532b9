// ZipVL: tokens that attention goes to are kept in more bits than the others, and how many they are
// follows from each head's attention.
//
// He et al., "ZipVL: Efficient Large Vision-Language Models with Dynamic Token Sparsification",
// 2024, arXiv:2410.08584. Unchecked: no code of theirs could be opened. Theirs are two sets of
// tokens for a whole layer, by recent and random queries, and prefill leaves the second set out;
// here they are whole pages of each head, by the last queries, and prefill stays as it is.
#pragma once

#include <memory>
#include <vector>

#include "kv/store/page_chooser.h"

namespace fathom::kv {

struct ZipVlOptions {
  double mass = 0.975;  // share of the attention that important pages hold together, at least
  size_t window = 64;   // queries whose attention counts
  size_t every = 128;   // generated tokens between choices
  std::shared_ptr<const StoreCodec> high, low;  // in the model's frame, of one plain format
};

// Open pages become important in descending order of the attention they received (equal ones in
// their own), until these and all pages that are not `low` hold `mass` of it. The first always is.
std::unique_ptr<const PageChooser> make_zipvl_store(ZipVlOptions options);

}  // namespace fathom::kv
