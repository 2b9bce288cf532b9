#include "engine/key_norms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.h"
#include "file/checkpoint.h"
#include "support/shared_data.h"

namespace fathom::engine {
namespace {

// The bundled model's rows, read from its file.
TEST(KeyNorms, AreTheRowsNorms) {
  ThreadPool pool(2);
  const auto file =
      std::make_shared<const file::Checkpoint>(file::Checkpoint::open(test::bundled_model()));
  const auto model = model::Model::load(file, pool, {});
  const kv::KeyNorms norms = key_norms(*model, pool);
  ASSERT_EQ(norms.norms.size(), 4u * 4 * 32);
  for (const size_t layer : {0, 3}) {
    const std::string block = "blk." + std::to_string(layer);
    const file::TensorView* w = file->find(block + ".attn_k.weight");
    const file::TensorView* gain = file->find(block + ".attn_norm.weight");
    ASSERT_TRUE(w && gain);
    for (size_t row = 0; row < 128; ++row) {
      double sum = 0;
      for (size_t i = 0; i < 256; ++i) {
        const Half half = reinterpret_cast<const Half*>(w->data.data())[row * 256 + i];
        const float g = reinterpret_cast<const float*>(gain->data.data())[i];
        sum += std::pow(double{to_float(half)} * g, 2);
      }
      EXPECT_NEAR(norms.norms[layer * 128 + row], std::sqrt(sum), 1e-5 * std::sqrt(sum));
    }
  }
}

}  // namespace
}  // namespace fathom::engine
