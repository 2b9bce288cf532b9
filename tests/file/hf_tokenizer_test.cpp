#include "file/hf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "file/huggingface.h"
#include "support/hf_export.h"
#include "support/shared_data.h"

namespace fathom::file {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kMark = "\u2581";

json small_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 8},
          {"intermediate_size", 8},
          {"num_hidden_layers", 1},
          {"num_attention_heads", 2},
          {"max_position_embeddings", 16}};
}

// "a", "b", "ab", a special token 3 and whatever a test adds.
json byte_level() {
  return {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}},
      {"added_tokens", {{{"id", 3}, {"content", "<s>"}, {"special", true}}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}}};
}

json marked() {
  return {
      {"model",
       {{"type", "BPE"},
        {"byte_fallback", true},
        {"unk_token", "<unk>"},
        {"vocab", {{"<unk>", 0}, {"<0x0A>", 1}, {kMark, 2}, {"a", 3}, {kMark + "a", 4}, {"aa", 5}}},
        {"merges", {"a a", kMark + " a"}}}},
      {"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}}},
      {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMark}}}};
}

struct Parts {
  json tokenizer = byte_level();
  json config = small_config();
  json tokenizer_config, generation_config, special_tokens_map;
  std::string chat_template;
};

Metadata metadata_of(const Parts& p) {
  const auto text = [](const json& j) { return j.is_null() ? std::string() : j.dump(); };
  return huggingface_metadata({.config = text(p.config),
                               .tokenizer = text(p.tokenizer),
                               .tokenizer_config = text(p.tokenizer_config),
                               .special_tokens_map = text(p.special_tokens_map),
                               .generation_config = text(p.generation_config),
                               .chat_template = p.chat_template},
                              "folder");
}

std::string failure(const Parts& parts, ErrorCode code) {
  try {
    metadata_of(parts);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

Strings patterns_of(json pre_tokenizer) {
  Parts parts;
  parts.tokenizer["pre_tokenizer"] = std::move(pre_tokenizer);
  return *metadata_of(parts).strings("fathom.tokenizer.pre_patterns");
}

json sequence(json steps) { return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}; }
json spelling() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
}

TEST(HfTokenizer, ByteLevelBpe) {
  Parts parts;
  parts.tokenizer["model"]["ignore_merges"] = true;
  const Metadata m = metadata_of(parts);
  EXPECT_EQ(m.require_text("tokenizer.ggml.model"), "gpt2");
  EXPECT_THAT(*m.strings("tokenizer.ggml.tokens"), ElementsAre("a", "b", "ab", "<s>"));
  EXPECT_THAT(*m.integers("tokenizer.ggml.token_type"), ElementsAre(1, 1, 1, 3));
  EXPECT_THAT(*m.strings("tokenizer.ggml.merges"), ElementsAre("a b"));
  EXPECT_TRUE(m.flag("fathom.tokenizer.ignore_merges", false));
  EXPECT_FALSE(m.flag("tokenizer.ggml.add_space_prefix", true));
  EXPECT_FALSE(m.has("tokenizer.ggml.scores"));
  EXPECT_FALSE(m.has("fathom.tokenizer.normalizer"));
}

TEST(HfTokenizer, PreTokenizersBecomePatternsInOrder) {
  const std::string gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  EXPECT_THAT(patterns_of({{"type", "ByteLevel"}}), ElementsAre(gpt2));
  EXPECT_THAT(patterns_of(spelling()), IsEmpty());
  EXPECT_THAT(
      patterns_of(
          sequence({{{"type", "Split"},
                     {"pattern", {{"Regex", "[\r\n]"}}},
                     {"behavior", "Isolated"},
                     {"invert", false}},
                    {{"type", "Digits"}, {"individual_digits", true}},
                    {{"type", "Split"}, {"pattern", {{"String", "a.b"}}}, {"behavior", "Isolated"}},
                    {{"type", "Digits"}, {"individual_digits", false}},
                    {{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                    {{"type", "Split"},
                     {"pattern", {{"Regex", "x|."}}},
                     {"behavior", "Removed"},
                     {"invert", true}},
                    spelling()})),
      ElementsAre("[\r\n]", R"(\p{N})", R"(a\.b)", R"(\p{N}+)", R"([\p{P}$+<=>^`|~]+)", "x|."));
}

TEST(HfTokenizer, UnknownStepsAreRefusedByName) {
  Parts parts;
  const auto refused = [&](json pre) {
    parts.tokenizer["pre_tokenizer"] = std::move(pre);
    return failure(parts, ErrorCode::kUnsupported);
  };
  EXPECT_THAT(refused(sequence({{{"type", "UnicodeScripts"}}, spelling()})),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("pre_tokenizer.pretokenizers[0]"),
                    HasSubstr("'UnicodeScripts'")));
  EXPECT_THAT(refused(sequence({spelling(), {{"type", "Digits"}}})), HasSubstr("after ByteLevel"));
  EXPECT_THAT(
      refused(sequence(
          {{{"type", "Split"}, {"pattern", {{"Regex", "x"}}}, {"behavior", "MergedWithNext"}},
           spelling()})),
      HasSubstr("'MergedWithNext'"));
  parts.tokenizer = byte_level();
  parts.tokenizer["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(metadata_of(parts).text("fathom.tokenizer.normalizer", ""), "nfc");
  parts.tokenizer["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(failure(parts, ErrorCode::kUnsupported), HasSubstr("'Lowercase'"));
  parts.tokenizer = byte_level();
  parts.tokenizer["model"]["type"] = "Unigram";
  EXPECT_THAT(failure(parts, ErrorCode::kUnsupported), HasSubstr("'Unigram'"));
  parts.tokenizer = byte_level();
  parts.tokenizer["model"]["end_of_word_suffix"] = "</w>";
  EXPECT_THAT(failure(parts, ErrorCode::kUnsupported), HasSubstr("'</w>'"));
  parts.tokenizer = byte_level();
  parts.tokenizer["pre_tokenizer"] = nullptr;
  EXPECT_THAT(failure(parts, ErrorCode::kUnsupported), HasSubstr("neither byte-level"));
}

TEST(HfTokenizer, SentencePieceLikeBpe) {
  Parts parts;
  parts.tokenizer = marked();
  Metadata m = metadata_of(parts);
  EXPECT_EQ(m.require_text("tokenizer.ggml.model"), "llama");
  EXPECT_THAT(*m.integers("tokenizer.ggml.token_type"), ElementsAre(2, 6, 1, 1, 1, 1));
  EXPECT_THAT(*m.numbers("tokenizer.ggml.scores"), ElementsAre(-3, -3, -3, -3, -1, 0));
  EXPECT_FALSE(m.flag("tokenizer.ggml.add_space_prefix", true));
  EXPECT_FALSE(m.flag("tokenizer.ggml.remove_extra_whitespaces", true));
  EXPECT_FALSE(m.has("tokenizer.ggml.merges"));
  // The two ways to ask for a space in front.
  parts.tokenizer["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", {{{"type", "Prepend"}, {"prepend", kMark}}, parts.tokenizer["normalizer"]}}};
  EXPECT_TRUE(metadata_of(parts).flag("tokenizer.ggml.add_space_prefix", false));
  parts.tokenizer["normalizer"] = nullptr;
  parts.tokenizer["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", kMark}, {"prepend_scheme", "first"}, {"split", false}};
  EXPECT_TRUE(metadata_of(parts).flag("tokenizer.ggml.add_space_prefix", false));
  parts.tokenizer["pre_tokenizer"]["split"] = true;
  EXPECT_THAT(failure(parts, ErrorCode::kUnsupported), HasSubstr("Metaspace that splits"));
}

// A real vocabulary: the scores that come out of its merges put tokens in the order they had.
TEST(HfTokenizer, MergesKeepTheOrderOfScores) {
  FATHOM_NEEDS_SHARED("reference/tokenizer/ggml-vocab-llama-spm.gguf");
  const Checkpoint gguf =
      Checkpoint::open(*test::shared("reference/tokenizer/ggml-vocab-llama-spm.gguf"));
  Parts parts;
  parts.tokenizer = test::hf_tokenizer_of(gguf.metadata(), test::HfExport::Merges::kPairs);
  parts.tokenizer_config = test::hf_tokenizer_config_of(gguf.metadata());
  const Metadata m = metadata_of(parts);
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token"}) {
    EXPECT_TRUE(*m.find(key) == *gguf.metadata().find(key)) << key;
  }
  EXPECT_TRUE(m.flag("tokenizer.ggml.add_space_prefix", false));
  const Floats before = *gguf.metadata().numbers("tokenizer.ggml.scores");
  const Floats after = *m.numbers("tokenizer.ggml.scores");
  const double unmade = *std::min_element(after.begin(), after.end());
  std::vector<std::pair<double, double>> made;
  for (size_t i = 0; i < after.size(); ++i) {
    if (after[i] != unmade) made.emplace_back(before[i], after[i]);
  }
  ASSERT_GT(made.size(), 25'000u);
  std::sort(made.begin(), made.end());
  for (size_t i = 1; i < made.size(); ++i) {
    ASSERT_TRUE(made[i].first == made[i - 1].first || made[i].second > made[i - 1].second);
  }
}

TEST(HfTokenizer, RowsWithoutATokenAreUnusedAndTokensBeyondThemLeftOut) {
  Parts parts;
  parts.config["vocab_size"] = 6;
  Metadata m = metadata_of(parts);
  EXPECT_THAT(*m.strings("tokenizer.ggml.tokens"),
              ElementsAre("a", "b", "ab", "<s>", "[PAD4]", "[PAD5]"));
  EXPECT_THAT(*m.integers("tokenizer.ggml.token_type"), ElementsAre(1, 1, 1, 3, 5, 5));
  parts.config["vocab_size"] = 3;
  EXPECT_THAT(*metadata_of(parts).strings("tokenizer.ggml.tokens"), ElementsAre("a", "b", "ab"));
  parts.config["vocab_size"] = 2;
  EXPECT_THAT(failure(parts, ErrorCode::kBadFile), HasSubstr("the model has 2 rows"));
}

TEST(HfTokenizer, AddedTokens) {
  Parts parts;
  parts.tokenizer["added_tokens"] = {
      {{"id", 3}, {"content", kMark + kMark}, {"special", false}, {"lstrip", true}},
      {{"id", 4}, {"content", "<|im_end|>"}, {"special", false}, {"rstrip", true}},
      {{"id", 5}, {"content", "<unused7>"}, {"special", false}},
      {{"id", 1}, {"content", "b"}, {"special", true}}};
  const Metadata m = metadata_of(parts);
  EXPECT_THAT(*m.strings("tokenizer.ggml.tokens"),
              ElementsAre("a", "b", "ab", "  ", "<|im_end|>", "<unused7>"));
  EXPECT_THAT(*m.integers("tokenizer.ggml.token_type"), ElementsAre(1, 3, 1, 4, 3, 3));
  EXPECT_THAT(*m.integers("fathom.tokenizer.strip_left"), ElementsAre(3));
  EXPECT_THAT(*m.integers("fathom.tokenizer.strip_right"), ElementsAre(4));
}

TEST(HfTokenizer, SpecialTokensComeFromTheFirstFileThatKnows) {
  Parts parts;
  parts.tokenizer["added_tokens"] = {{{"id", 3}, {"content", "<s>"}, {"special", true}},
                                     {{"id", 4}, {"content", "</s>"}, {"special", true}},
                                     {{"id", 5}, {"content", "<pad>"}, {"special", true}}};
  parts.config["bos_token_id"] = 0;
  parts.config["eos_token_id"] = {2, 4, 99};
  Metadata m = metadata_of(parts);
  EXPECT_EQ(m.require_integer("tokenizer.ggml.bos_token_id"), 0);
  EXPECT_EQ(m.require_integer("tokenizer.ggml.eos_token_id"), 2);
  EXPECT_THAT(*m.integers("fathom.tokenizer.eos_ids"), ElementsAre(2, 4));
  parts.generation_config = {{"eos_token_id", 5}, {"pad_token_id", 5}};
  parts.special_tokens_map = {{"eos_token", {{"content", "</s>"}}}, {"pad_token", "not there"}};
  parts.tokenizer_config = {{"bos_token", "<s>"}};
  m = metadata_of(parts);
  EXPECT_EQ(m.require_integer("tokenizer.ggml.bos_token_id"), 3);
  EXPECT_EQ(m.require_integer("tokenizer.ggml.eos_token_id"), 4);
  EXPECT_EQ(m.require_integer("tokenizer.ggml.padding_token_id"), 5);
  EXPECT_THAT(*m.integers("fathom.tokenizer.eos_ids"), ElementsAre(2, 4, 5));
}

TEST(HfTokenizer, WhetherBosIsAddedIsSaidOrFollowsFromTheTemplate) {
  Parts parts;
  parts.tokenizer_config = {{"bos_token", "<s>"}};
  EXPECT_FALSE(metadata_of(parts).flag("tokenizer.ggml.add_bos_token", true));
  const json processor = {{"type", "TemplateProcessing"},
                          {"single",
                           {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                            {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}}};
  parts.tokenizer["post_processor"] = {{"type", "Sequence"},
                                       {"processors", {{{"type", "ByteLevel"}}, processor}}};
  EXPECT_TRUE(metadata_of(parts).flag("tokenizer.ggml.add_bos_token", false));
  EXPECT_FALSE(metadata_of(parts).flag("tokenizer.ggml.add_eos_token", true));
  parts.tokenizer["post_processor"] = processor;
  EXPECT_TRUE(metadata_of(parts).flag("tokenizer.ggml.add_bos_token", false));
  parts.tokenizer_config["add_bos_token"] = false;
  EXPECT_FALSE(metadata_of(parts).flag("tokenizer.ggml.add_bos_token", true));
}

TEST(HfTokenizer, ChatTemplates) {
  Parts parts;
  parts.tokenizer_config = {{"chat_template", "one"}};
  EXPECT_EQ(metadata_of(parts).text("tokenizer.chat_template", ""), "one");
  parts.tokenizer_config["chat_template"] = {{{"name", "default"}, {"template", "two"}},
                                             {{"name", "tool_use"}, {"template", "three"}}};
  const Metadata m = metadata_of(parts);
  EXPECT_EQ(m.text("tokenizer.chat_template", ""), "two");
  EXPECT_EQ(m.text("tokenizer.chat_template.tool_use", ""), "three");
  EXPECT_THAT(*m.strings("tokenizer.chat_templates"), ElementsAre("tool_use"));
  parts.chat_template = "from a file of its own";
  EXPECT_EQ(metadata_of(parts).text("tokenizer.chat_template", ""), "from a file of its own");
}

struct Damage {
  const char* pointer;  // into tokenizer.json
  json value;
  const char* message;
};

TEST(HfTokenizer, DamagedVocabulariesAreRefused) {
  const Damage kDamages[] = {
      {"/model", "x", "'model' is a string, not an object"},
      {"/model/vocab", json::array({"a"}), "model.vocab is not an object"},
      {"/model/vocab", json::object(), "model.vocab is empty"},
      {"/model/vocab/b", 0, "token id 0 is there twice"},
      {"/model/vocab/b", -1, "token 'b' has the id -1"},
      {"/model/vocab/b", 1e300, "token 'b' has the id 1e+300"},
      {"/model/vocab/b", 4'000'000'000u, "token 'b' has the id 4000000000"},
      {"/model/vocab/b", "1", "token 'b' has the id string"},
      {"/model/merges", "a b", "model.merges is not a list"},
      {"/model/merges", json::array({"a  b"}), "model.merges[0] is not a pair"},
      {"/model/merges", json::array({"ab"}), "model.merges[0] is not a pair"},
      {"/model/merges", json::array({1}), "model.merges[0] is not a pair"},
      {"/model/merges", json::array({json::array({"a", 1})}), "model.merges[0] is not a pair"},
      {"/model/merges", json::array({"a b", "b a"}), "model.merges[1] is of tokens that are not"},
      {"/added_tokens", json::array({1}), "added_tokens[0]"},
      {"/added_tokens", json::array({{{"id", 3}}}), "added_tokens[0].content"},
      {"/added_tokens", json::array({{{"id", 3.5}, {"content", "x"}}}), "token 'x' has the id 3.5"},
      {"/pre_tokenizer", json::array(), "pre_tokenizer"},
      {"/pre_tokenizer", {{"type", "Sequence"}}, "pre_tokenizer.pretokenizers"},
  };
  for (const Damage& damage : kDamages) {
    Parts parts;
    parts.tokenizer[json::json_pointer(damage.pointer)] = damage.value;
    EXPECT_THAT(failure(parts, ErrorCode::kBadFile),
                AllOf(HasSubstr("folder/tokenizer.json"), HasSubstr(damage.message)))
        << damage.pointer;
  }
}

}  // namespace
}  // namespace fathom::file
