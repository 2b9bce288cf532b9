// Lists of runs, and blocks of equal size that become them.
#pragma once

#include <span>

#include "kv/fetch/fetch_policy.h"
#include "kv/top_k.h"

namespace fathom::kv {

// Adds [first, end) at the end of `runs`, joining what touches or overlaps. REQUIRES: `first` is
// not before the last run's beginning.
void add_run(size_t first, size_t end, Runs& runs);
// Ascending single keys.
void add_tokens(std::span<const int32_t> tokens, Runs& runs);
// Ascending numbers of blocks of `block` keys, of a head of `tokens`.
void add_blocks(std::span<const int32_t> numbers, size_t block, size_t tokens, Runs& runs);
// Ascending and apart, from runs in any order.
void sort_runs(Runs& runs);
// Everything: one run of `tokens`, or none.
Runs all_of(size_t tokens);

// Keys that a list reads; divided by the head's tokens, the share of keys read.
size_t keys_read(const Runs& runs);

// How many of a head's blocks are read; the first and last ones are among them.
struct BlockRule {
  size_t count = 1;
  size_t first = 0, last = 0;  // forced
};
// Numbers of the blocks to read, ascending: forced ones and the best of the others.
void choose_blocks(std::span<const float> scores, const BlockRule& rule, TopK& best,
                   std::vector<int32_t>& chosen);

}  // namespace fathom::kv
