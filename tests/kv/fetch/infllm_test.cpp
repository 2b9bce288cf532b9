#include "kv/fetch/infllm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kv/fetch/runs.h"
#include "kv/rope.h"
#include "support/decisions.h"

namespace fathom::kv {
namespace {

using namespace fathom::test;  // NOLINT

// As the reference: init 64, local 512, blocks of 64, top 4, 4 representatives, 128 queries at
// once.
constexpr BlockMemoryOptions kOptions{64, 512, 4, 128};

// The authors' angles are f32: at the far end of the window (511) one is off by up to 511 * 2^-24 =
// 3e-5, a score of 15 by 4.6e-4, and an output by that share of the values' spread. (1,501 of the
// 1,504 rows are within 1e-4, all within 2.2e-4.)
constexpr Tolerance kRows{4.6e-4, 2.2e-4};

class InfLlmReplay {
 public:
  InfLlmReplay() : rope_(recorded_rope(recorded_layer())) {
    for (size_t h = 0; h < 4; ++h) {
      indices_.push_back(std::make_unique<InfLlmIndex>(kOptions, 64, 4));
    }
  }
  const BlockMemory& memory(size_t h) const { return indices_[h]->memory(); }
  HeadView head(size_t h, size_t tokens) const {
    HeadView head = recorded_layer().head(h, tokens);
    head.rope = &rope_->view;
    return head;
  }
  // The layer's agreed scores for queries [first, first + count).
  std::vector<float> rank(size_t first, size_t count) {
    std::vector<float> agreed;
    for (size_t h = 0; h < 4; ++h) {
      indices_[h]->update(head(h, first + count));
      indices_[h]->rank(head(h, first + count), recorded_layer().queries(h, first, count), agreed);
    }
    return agreed;
  }
  void observe(size_t first, size_t count, std::span<const float> agreed) {
    for (size_t h = 0; h < 4; ++h) {
      indices_[h]->observe(head(h, first + count), recorded_layer().queries(h, first, count),
                           agreed);
    }
  }
  Runs select(size_t h, size_t position, std::span<const float> agreed) {
    std::vector<Runs> runs(1);
    indices_[h]->select(head(h, position + 1), recorded_layer().queries(h, position, 1), agreed,
                        runs);
    return runs[0];
  }
  // What queries before `end` read beside their window: init, chosen blocks, and what is in
  // neither.
  Runs distant(size_t end, std::span<const float> agreed) const {
    Runs all, out;
    const BlockMemory& m = memory(0);
    m.read(end, infllm_choice(agreed, m.blocks(), 4), all);
    for (const Run& r : all) add_run(size_t(r.first), std::min(size_t(r.end), end - 512), out);
    return out;
  }
  // The authors' positions: keys out of the window all at the distance local - 1. A key that leaves
  // the window among queries that are answered together is seen in both.
  std::vector<float> output(size_t query_head, size_t position, const Runs& distant) const {
    const HeadView view = head(query_head / 2, position + 1);
    const QueryView query = recorded_layer().queries(query_head / 2, position, 1);
    std::vector<float> far(32), keys;
    Rotation(rope_->view, 511.0).apply(query.row_unrotated(0, query_head % 2, 32), 32, far.data());
    // A dot product with `far` of an unrotated key is one with [far | q] of [key | 0].
    std::vector<float> both(far);
    const float* q = query.row(0, query_head % 2, 32);
    both.insert(both.end(), q, q + 32);
    std::vector<float> values;
    const auto add = [&](size_t first, size_t end, bool near) {
      for (size_t t = first; t < end; ++t) {
        const float* k = near ? view.key(t) : view.k_unrotated + t * 32;
        keys.resize(keys.size() + 64);
        std::copy_n(k, 32, keys.end() - (near ? 32 : 64));
        values.insert(values.end(), view.value(t), view.value(t) + 32);
        values.resize(values.size() + 32);
      }
    };
    for (const Run& r : distant) add(size_t(r.first), size_t(r.end), false);
    add(position + 1 - std::min<size_t>(position + 1, 512), position + 1, true);
    HeadView wide = view;
    wide.head_dim = 64, wide.tokens = keys.size() / 64, wide.k = keys.data();
    wide.v = values.data();
    std::vector<float> out = attend(wide, both.data());
    out.resize(32);
    return out;
  }

 private:
  std::unique_ptr<RecordedRope> rope_;
  std::vector<std::unique_ptr<InfLlmIndex>> indices_;
};

TEST(InfLlm, DecidesAsTheAuthors) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  InfLlmReplay replay;
  const auto rows = expected_integers("rows");
  const auto row_outputs = expected_floats("infllm.rows_out");
  size_t row = 0;
  for (size_t b = 0; b < 16; ++b) {
    const auto agreed = replay.rank(b * 128, 128);
    const auto want = expected_row("infllm.prefill_blocks", b, 4);
    const size_t blocks = replay.memory(0).blocks();
    if (blocks > 4) {
      EXPECT_EQ(infllm_choice(agreed, blocks, 4), want) << "queries " << b * 128;
    }
    Runs distant;
    if (b >= 4) distant = replay.distant((b + 1) * 128, agreed);
    for (; row < rows.size() && size_t(rows[row]) < (b + 1) * 128; ++row) {
      for (size_t h = 0; h < 8; ++h) {
        expect_close(replay.output(h, size_t(rows[row]), distant),
                     std::span(row_outputs).subspan((row * 8 + h) * 32, 32), kRows,
                     "output of row " + std::to_string(rows[row]));
      }
    }
    replay.observe(b * 128, 128, agreed);
  }
  EXPECT_EQ(row, rows.size());
  ASSERT_EQ(replay.memory(0).blocks(), 23u);
  const auto representatives = expected_floats("infllm.representatives");
  for (size_t b = 0; b < 23; ++b) {
    for (size_t h = 0; h < 8; ++h) {
      expect_close(replay.memory(h / 2).representatives().subspan((b * 2 + h % 2) * 32, 32),
                   std::span(representatives).subspan((b * 8 + h) * 32, 32), {0, 1e-4},
                   "representative of block " + std::to_string(b));
    }
  }
  const auto outputs = expected_floats("infllm.decode_out");
  for (size_t s = 0; s < 8; ++s) {
    const auto agreed = replay.rank(2048 + s, 1);
    expect_close(agreed, expected_score_row("infllm.decode_block_scores", s, 23), {0, 3e-3},
                 "scores");
    EXPECT_EQ(infllm_choice(agreed, 23, 4), expected_row("infllm.decode_blocks", s, 4));
    for (size_t h = 0; h < 8; ++h) {
      const Runs distant = replay.distant(2048 + s + 1, agreed);
      Runs read = distant;
      add_run(2048 + s + 1 - 512, 2048 + s + 1, read);
      EXPECT_EQ(replay.select(h / 2, 2048 + s, agreed), read);
      expect_close(replay.output(h, 2048 + s, distant),
                   std::span(outputs).subspan((s * 8 + h) * 32, 32), {0, 1e-4}, "decode_out");
    }
    replay.observe(2048 + s, 1, agreed);
  }
}

}  // namespace
}  // namespace fathom::kv
