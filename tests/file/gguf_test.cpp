#include "file/gguf.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/shared_data.h"

namespace fathom::file {
namespace {

TEST(Gguf, ReadsTheBundledModel) {
  const Checkpoint c = Checkpoint::open(test::bundled_model());
  EXPECT_EQ(c.format(), "GGUF v3");
  EXPECT_EQ(c.tensors().size(), 38u);
  EXPECT_EQ(c.metadata().require_text("general.architecture"), "llama");
  EXPECT_EQ(c.metadata().require_integer("llama.embedding_length"), 256);
  EXPECT_EQ(c.metadata().strings("tokenizer.ggml.tokens")->size(), 4096u);
  const TensorView& q = c.require("blk.0.attn_q.weight");
  EXPECT_EQ(q.type, TensorType::kF16);
  EXPECT_EQ(q.columns(), 256u);
  EXPECT_EQ(q.rows(), 256u);
  EXPECT_EQ(q.data.size(), 256u * 256 * 2);
  EXPECT_EQ(c.find("no such tensor"), nullptr);
  EXPECT_THROW(c.require("no such tensor"), Error);
}

}  // namespace
}  // namespace fathom::file
