// Running a prefill policy on a recording or on made-up heads, for tests.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kv/prefill/prefill_policy.h"
#include "kv/registry.h"
#include "kv/replay/recording.h"

namespace fathom::test {

// "name" or "name(a=1,b=2)" made by the registry.
std::unique_ptr<const kv::PrefillPolicy> make_prefill(const std::string& call);

// A chunk of a recording: tokens [first, end) of the queries of a kv head.
kv::PrefillView chunk_of(const kv::Recording& recording, size_t kv_head, size_t first, size_t end);

// lists[head of the group * blocks + block].
std::vector<kv::RowList> run_select(const kv::PrefillPolicy& policy, const kv::PrefillView& view);

// Blocks of `block` keys that a list's pieces lie in; columns are left out.
std::set<size_t> blocks_of(const kv::RowList& list, size_t block);

// Policy against a mask of blocks, [heads, blocks, blocks]: number of blocks that differ over all
// query heads of the recording's first `tokens` tokens. Each is reported.
size_t count_mask_differences(const kv::Recording& recording, const kv::PrefillPolicy& policy,
                              size_t tokens, const std::vector<int64_t>& mask);

// The recording's rows of `rows_name` under the policy against expected `rows_out`, `rows_lse`
// ([rows, heads, head_dim], [rows, heads]): largest absolute difference of both.
double worst_row_difference(const kv::Recording& recording, const kv::PrefillPolicy& policy,
                            const std::string& method);

}  // namespace fathom::test
