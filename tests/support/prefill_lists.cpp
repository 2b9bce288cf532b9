#include "support/prefill_lists.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kv/policy.h"
#include "kv/replay/attend_lists.h"
#include "support/method_reference.h"

namespace fathom::test {

std::unique_ptr<const kv::PrefillPolicy> make_prefill(const std::string& call) {
  const kv::PolicySpec spec = kv::parse_policy("prefill=" + call);
  const kv::MethodCall& parsed = spec.methods.at(kv::Stage::kPrefill);
  const kv::Method* method = kv::find_method(kv::Stage::kPrefill, parsed.name);
  return method->prefill(kv::Parameters(method->info, parsed.parameters, "test"));
}

kv::PrefillView chunk_of(const kv::Recording& recording, size_t kv_head, size_t first, size_t end) {
  kv::PrefillView view;
  view.head = recording.head(kv_head, end);
  view.head.v = nullptr;  // a policy has no business with values
  view.queries = recording.queries(kv_head, first, end - first);
  return view;
}

std::vector<kv::RowList> run_select(const kv::PrefillPolicy& policy, const kv::PrefillView& view) {
  const size_t blocks = kv::touched_blocks(view.first(), view.queries.tokens, policy.query_block());
  std::vector<kv::RowList> lists(view.queries.group * blocks);
  policy.select(view, lists);
  return lists;
}

std::set<size_t> blocks_of(const kv::RowList& list, size_t block) {
  std::set<size_t> blocks;
  for (const int32_t piece : list.pieces) blocks.insert(static_cast<size_t>(piece) / block);
  return blocks;
}

size_t count_mask_differences(const kv::Recording& recording, const kv::PrefillPolicy& policy,
                              size_t tokens, const std::vector<int64_t>& mask) {
  const size_t block = policy.query_block(), n = (tokens + block - 1) / block;
  EXPECT_EQ(mask.size(), recording.heads() * n * n);
  size_t differences = 0;
  for (size_t kv_head = 0; kv_head < recording.kv_heads(); ++kv_head) {
    const auto lists = run_select(policy, chunk_of(recording, kv_head, 0, tokens));
    for (size_t i = 0; i < lists.size(); ++i) {
      const size_t head = kv_head * recording.group() + i / n, row = i % n;
      EXPECT_TRUE(lists[i].columns.empty());
      const std::set<size_t> chosen = blocks_of(lists[i], block);
      for (size_t k = 0; k < n; ++k) {
        const bool want = mask[(head * n + row) * n + k] != 0;
        if (want == chosen.contains(k)) continue;
        ++differences;
        ADD_FAILURE() << "head " << head << ", row " << row << ", block " << k
                      << (want ? " is missing" : " is too much");
      }
    }
  }
  return differences;
}

double worst_row_difference(const kv::Recording& recording, const kv::PrefillPolicy& policy,
                            const std::string& method) {
  const auto rows = expected_integers("rows");
  const auto out = expected_floats(method + ".rows_out");
  const auto lse = expected_floats(method + ".rows_lse");
  const size_t d = recording.head_dim(), heads = recording.heads(), block = policy.query_block();
  double worst = 0;
  std::vector<int32_t> keys;
  std::vector<float> got(d);
  for (size_t head = 0; head < heads; ++head) {
    const size_t kv_head = head / recording.group();
    const kv::PrefillView view = chunk_of(recording, kv_head, 0, recording.prompt());
    const auto lists = run_select(policy, view);
    const size_t blocks = lists.size() / recording.group();
    for (size_t r = 0; r < rows.size(); ++r) {
      const size_t row = static_cast<size_t>(rows[r]);
      kv::visible_keys(lists[head % recording.group() * blocks + row / block], row, keys);
      const double got_lse =
          kv::attend_keys(recording.head(kv_head, recording.prompt()),
                          view.queries.row(row, head % recording.group(), d), keys, got.data());
      worst = std::max(worst, std::fabs(got_lse - lse[r * heads + head]));
      for (size_t c = 0; c < d; ++c) {
        worst = std::max<double>(worst, std::fabs(got[c] - out[(r * heads + head) * d + c]));
      }
    }
  }
  return worst;
}

}  // namespace fathom::test
