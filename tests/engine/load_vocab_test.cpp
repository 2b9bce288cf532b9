#include "engine/load_vocab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

using file::Metadata;
using file::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using text::TokenKind;

Metadata small_metadata() {
  Metadata m("model.gguf");
  m.set("tokenizer.ggml.model", "gpt2");
  m.set("tokenizer.ggml.tokens", file::Strings{"a", "b", "<s>"});
  m.set("tokenizer.ggml.token_type", file::Integers{1, 0, 3});
  return m;
}

TEST(LoadVocab, ReadsWhatIsThere) {
  Metadata m = small_metadata();
  m.set("tokenizer.ggml.pre", "qwen2");
  m.set("tokenizer.ggml.scores", file::Floats{0, -1.5, 2});
  m.set("tokenizer.ggml.merges", file::Strings{"a b"});
  m.set("tokenizer.ggml.bos_token_id", int64_t{2});
  m.set("tokenizer.ggml.eos_token_id", int64_t{1});
  m.set("tokenizer.ggml.seperator_token_id", int64_t{0});
  m.set("tokenizer.ggml.add_bos_token", true);
  m.set("tokenizer.ggml.add_space_prefix", false);
  m.set("fathom.tokenizer.pre_patterns", file::Strings{"x"});
  m.set("fathom.tokenizer.ignore_merges", true);
  m.set("fathom.tokenizer.strip_left", file::Integers{2});
  m.set("fathom.tokenizer.eos_ids", file::Integers{1, 2});
  m.set("fathom.tokenizer.normalizer", "nfc");
  const text::VocabData v = engine::load_vocab(m);
  EXPECT_EQ(v.model, "gpt2");
  EXPECT_EQ(v.pre, "qwen2");
  EXPECT_THAT(v.tokens, ElementsAre("a", "b", "<s>"));
  EXPECT_THAT(v.scores, ElementsAre(0, -1.5, 2));
  EXPECT_THAT(v.kinds, ElementsAre(TokenKind::kNormal, TokenKind::kNormal, TokenKind::kControl));
  EXPECT_THAT(v.merges, ElementsAre("a b"));
  EXPECT_EQ(v.bos, 2);
  EXPECT_EQ(v.eos, 1);
  EXPECT_EQ(v.separator, 0);
  EXPECT_EQ(v.add_bos, true);
  EXPECT_EQ(v.add_space_prefix, false);
  EXPECT_THAT(v.pre_patterns, ElementsAre("x"));
  EXPECT_EQ(v.ignore_merges, true);
  EXPECT_THAT(v.strip_left, ElementsAre(2));
  EXPECT_THAT(v.ends, ElementsAre(1, 2));
  EXPECT_EQ(v.normalizer, "nfc");
}

TEST(LoadVocab, LeavesUnsaidWhatTheFileDoesNotSay) {
  const text::VocabData v = engine::load_vocab(small_metadata());
  EXPECT_EQ(v.pre, "");
  EXPECT_TRUE(v.scores.empty() && v.merges.empty() && v.pre_patterns.empty());
  EXPECT_FALSE(v.bos || v.eos || v.unknown || v.eot || v.eom || v.padding);
  EXPECT_FALSE(v.add_bos || v.add_eos || v.add_space_prefix || v.remove_extra_whitespaces);
}

TEST(LoadVocab, MinusOneIsNone) {
  Metadata m = small_metadata();
  m.set("tokenizer.ggml.bos_token_id", int64_t{-1});
  m.set("tokenizer.ggml.padding_token_id", int64_t{0xFFFFFFFF});
  EXPECT_FALSE(engine::load_vocab(m).bos.has_value());
  EXPECT_FALSE(engine::load_vocab(m).padding.has_value());
}

struct BadCase {
  const char* key;
  Value value;
};

TEST(LoadVocab, RefusesWrongTypesAndRanges) {
  const BadCase cases[] = {
      {"tokenizer.ggml.model", int64_t{1}},
      {"tokenizer.ggml.pre", true},
      {"tokenizer.ggml.tokens", "a"},
      {"tokenizer.ggml.tokens", file::Strings{}},
      {"tokenizer.ggml.scores", file::Strings{"x"}},
      {"tokenizer.ggml.token_type", file::Integers{7}},
      {"tokenizer.ggml.token_type", file::Integers{-1}},
      {"tokenizer.ggml.merges", file::Integers{1}},
      {"tokenizer.ggml.bos_token_id", int64_t{-2}},
      {"tokenizer.ggml.eos_token_id", int64_t{1} << 40},
      {"tokenizer.ggml.eos_token_id", "2"},
      {"tokenizer.ggml.add_bos_token", int64_t{1}},
      {"fathom.tokenizer.strip_right", file::Integers{-1}},
  };
  for (const BadCase& c : cases) {
    Metadata m = small_metadata();
    m.set(c.key, c.value);
    try {
      engine::load_vocab(m);
      ADD_FAILURE() << c.key << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadFile);
      EXPECT_EQ(e.where(), "model.gguf");
      EXPECT_THAT(e.what(), HasSubstr(c.key));
    }
  }
}

TEST(LoadVocab, PhiThreesTokensEatTheSpaceBehindThem) {
  Metadata m = small_metadata();
  m.set("tokenizer.ggml.tokens", file::Strings{"a", "<|end|>", "<s>"});
  m.set("tokenizer.ggml.token_type", file::Integers{1, 3, 3});
  m.set("general.name", "Phi 3 mini");
  EXPECT_TRUE(engine::load_vocab(m).strip_right.empty());
  m.set("general.name", "Phi3 Mini");
  EXPECT_THAT(engine::load_vocab(m).strip_right, ElementsAre(1));
}

}  // namespace
}  // namespace fathom
