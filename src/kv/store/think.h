// ThinK: pages of a read prompt keep only those channels of their keys that matter to the last
// queries; values, and what was read last, stay whole.
//
// Xu et al., "ThinK: Thinner Key Cache by Query-Driven Pruning", 2024, arXiv:2407.21018. Channels
// are chosen by kv/keep/think.h, equal to the repository's and kvpress's, for each kv head when a
// prompt has been read. A page lists its channels, so pages of later turns may have others.
#pragma once

#include <memory>

#include "kv/store/page_chooser.h"

namespace fathom::kv {

struct ThinkOptions {
  double share = 0.4;  // of the channels that are left out; what stays is rounded up to a pair
  size_t window = 32;  // last queries that choose
  kernel::KvFormat plain = kernel::KvFormat::kF16;
};

// Gives every open page the head's channels; with nothing to leave out, pages stay plain.
std::unique_ptr<const PageChooser> make_think_store(const ThinkOptions& options);

}  // namespace fathom::kv
