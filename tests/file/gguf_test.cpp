#include "file/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/gguf_bytes.h"
#include "support/shared_data.h"

namespace fathom::file {
namespace {

using test::GgufBytes;
using testing::ElementsAre;

TEST(Gguf, ReadsTheBundledModel) {
  const Checkpoint c = Checkpoint::open(test::bundled_model());
  EXPECT_EQ(c.format(), "GGUF v3");
  EXPECT_EQ(c.tensors().size(), 38u);
  EXPECT_EQ(c.file_bytes(), 6956192u);
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

TEST(Gguf, ReadsEveryTypeOfValue) {
  GgufBytes bytes(0, 15, 2);
  bytes.text("u8").put<uint32_t>(0).put<uint8_t>(200);
  bytes.text("i8").put<uint32_t>(1).put<int8_t>(-5);
  bytes.text("u16").put<uint32_t>(2).put<uint16_t>(60000);
  bytes.text("i16").put<uint32_t>(3).put<int16_t>(-300);
  bytes.text("u32").put<uint32_t>(4).put<uint32_t>(4'000'000'000);
  bytes.text("i32").put<uint32_t>(5).put<int32_t>(-7);
  bytes.text("f32").put<uint32_t>(6).put(1.5f);
  bytes.text("bool").put<uint32_t>(7).put<uint8_t>(1);
  bytes.string("string", std::string_view("a\0b", 3));
  bytes.text("u64").put<uint32_t>(10).put<uint64_t>(1ull << 62);
  bytes.text("i64").put<uint32_t>(11).put<int64_t>(-1);
  bytes.text("f64").put<uint32_t>(12).put(2.25);
  bytes.array("bytes", 0, 3).put<uint8_t>(1).put<uint8_t>(2).put<uint8_t>(255);
  bytes.array("words", 8, 2).text("one").text("");
  bytes.array("halves", 12, 1).put(0.5);
  const Checkpoint c = read_gguf(bytes.file());
  EXPECT_EQ(c.format(), "GGUF v2");
  const Metadata& m = c.metadata();
  EXPECT_EQ(m.require_integer("u8"), 200);
  EXPECT_EQ(m.require_integer("i8"), -5);
  EXPECT_EQ(m.require_integer("u16"), 60000);
  EXPECT_EQ(m.require_integer("i16"), -300);
  EXPECT_EQ(m.require_integer("u32"), 4'000'000'000);
  EXPECT_EQ(m.require_integer("i32"), -7);
  EXPECT_EQ(m.number("f32", 0), 1.5);
  EXPECT_TRUE(m.flag("bool", false));
  EXPECT_EQ(m.require_text("string"), std::string("a\0b", 3));
  EXPECT_EQ(m.require_integer("u64"), 1ll << 62);
  EXPECT_EQ(m.require_integer("i64"), -1);
  EXPECT_EQ(m.number("f64", 0), 2.25);
  EXPECT_THAT(*m.integers("bytes"), ElementsAre(1, 2, 255));
  EXPECT_THAT(*m.strings("words"), ElementsAre("one", ""));
  EXPECT_THAT(*m.numbers("halves"), ElementsAre(0.5));
}

TEST(Gguf, ObeysTheAlignmentItStates) {
  GgufBytes bytes(2, 1);
  bytes.u32("general.alignment", 128);
  bytes.tensor("a", {4}, 0, 0).tensor("b", {32, 2}, 8, 128);
  bytes.data(128 + 68, 128);
  const Checkpoint c = read_gguf(bytes.file());
  EXPECT_EQ(c.require("a").offset % 128, 0u);
  EXPECT_EQ(c.require("b").offset, c.require("a").offset + 128);
  EXPECT_EQ(c.require("b").type, TensorType::kQ8_0);
  EXPECT_EQ(c.require("b").data.size(), 68u);
}

TEST(Gguf, AFileThatIsEmptyButForItsHeaderIsFine) {
  EXPECT_TRUE(read_gguf(GgufBytes(0, 0).file()).tensors().empty());
}

}  // namespace
}  // namespace fathom::file
