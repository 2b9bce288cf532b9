#include "kv/replay/replay.h"

#include <gtest/gtest.h>

#include <cmath>

#include "file/safetensors.h"
#include "support/method_reference.h"
#include "support/prefill_lists.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

struct Replayed {
  explicit Replayed(const std::string& line)
      : policy(make_policy(parse_policy(line), kernel::KvFormat::kF32)),
        pool(2),
        replay(test::recorded_layer(), policy, pool) {
    run_replay(replay);
  }
  const ReplayTensor& tensor(const std::string& name) const {
    for (const ReplayTensor& t : replay.tensors) {
      if (t.name == name) return t;
    }
    throw std::runtime_error("no tensor " + name);
  }
  const std::vector<int32_t>& integers(const std::string& name) const {
    return std::get<std::vector<int32_t>>(tensor(name).values);
  }
  Policy policy;
  ThreadPool pool;
  Replay replay;
};

TEST(Replay, DenseIsDenseInEveryRowAndStep) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed dense("store=f32");
  const auto out = test::expected_floats("dense.out"), lse = test::expected_floats("dense.lse");
  ASSERT_EQ(dense.replay.out.size(), out.size());
  for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(dense.replay.out[i], out[i], 1e-5) << i;
  for (size_t i = 0; i < lse.size(); ++i) ASSERT_NEAR(dense.replay.lse[i], lse[i], 1e-5) << i;
  EXPECT_EQ(dense.replay.numbers.at("prefill_keys_read"), 1.0);
  EXPECT_EQ(dense.replay.numbers.at("decode_keys_read"), 1.0);
  EXPECT_LT(compare_with_dense(dense.replay).prompt, 1e-12);
}

TEST(Replay, ListsLieWhereTheOffsetsSay) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed r("prefill=minference(vertical=100,slash=200) store=f32");
  const auto policy = test::make_prefill("minference(vertical=100,slash=200)");
  const auto& offsets = r.integers("prefill_blocks_offsets");
  const auto& columns = r.integers("prefill_columns_offsets");
  ASSERT_EQ(offsets.size(), 8u * 32 + 1);
  EXPECT_EQ(r.integers("prefill_query_block"), (std::vector<int32_t>{64}));
  for (size_t head = 0; head < 8; ++head) {
    const auto lists =
        test::run_select(*policy, test::chunk_of(test::recorded_layer(), head / 2, 0, 2048));
    for (size_t b = 0; b < 32; ++b) {
      const RowList& list = lists[head % 2 * 32 + b];
      const size_t i = head * 32 + b;
      const auto* p = r.integers("prefill_blocks").data();
      const auto* c = r.integers("prefill_columns").data();
      EXPECT_EQ(std::vector<int32_t>(p + offsets[i], p + offsets[i + 1]), list.pieces);
      EXPECT_EQ(std::vector<int32_t>(c + columns[i], c + columns[i + 1]), list.columns);
    }
  }
  const double read = r.replay.numbers.at("prefill_keys_read");
  EXPECT_GT(read, 0.3);
  EXPECT_LT(read, 0.9);
}

// Half precision moves a number by at most 2^-11 of itself.
TEST(Replay, StoreGivesBackWhatTheCodecMeans) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed r("store=f16");
  const auto& k = std::get<std::vector<float>>(r.tensor("k_decoded").values);
  const Recording& recording = test::recorded_layer();
  ASSERT_EQ(r.tensor("k_decoded").shape, (std::vector<uint64_t>{2048, 4, 32}));
  for (size_t t = 0; t < 2048; t += 17) {
    for (size_t h = 0; h < 4; ++h) {
      for (size_t c = 0; c < 32; ++c) {
        const float want = recording.head(h, 2048).key(t)[c];
        ASSERT_NEAR(k[(t * 4 + h) * 32 + c], want, std::fabs(want) / 2048 + 1e-7);
      }
    }
  }
  const ReplayError coarse = compare_with_dense(Replayed("store=k2v2").replay);
  const ReplayError fine = compare_with_dense(Replayed("store=q8").replay);
  EXPECT_GT(fine.prompt, 0.0);
  EXPECT_GT(coarse.prompt, 4 * fine.prompt);
  EXPECT_GT(coarse.decode, 0.0);
}

TEST(Replay, WritesWhatItDecided) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Replayed r("prefill=a_shape(window=256) store=f32");
  const test::TempDir dir;
  write_replay(r.replay, dir.file("out.safetensors"));
  const file::SafetensorsFile file(dir.file("out.safetensors"));
  EXPECT_EQ(file.metadata().at("kv"), r.policy.line);
  EXPECT_EQ(file::to_floats(file.require("out")), r.replay.out);
  const auto windows = file::to_integers(file.require("prefill_windows"));
  EXPECT_EQ(windows[2 * 31], 128);
  EXPECT_EQ(windows[2 * 31 + 1], 256);
}

}  // namespace
}  // namespace fathom::kv
