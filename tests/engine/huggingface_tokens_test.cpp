// Vocabularies that came as tokenizer.json against the ids that their makers' own tokenizers gave:
// what file/ derives (scores from merges, expressions from pre-tokenizers) is what text/ needs.
#include <gtest/gtest.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/load_vocab.h"
#include "file/checkpoint.h"
#include "file/huggingface.h"
#include "support/hf_export.h"
#include "support/shared_data.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

using nlohmann::json;
using text::TokenId;

// The vocabulary of a GGUF file by way of tokenizer.json.
std::unique_ptr<text::Tokenizer> by_way_of_json(const file::Metadata& gguf, const json& pre) {
  json tokenizer = test::hf_tokenizer_of(gguf, test::HfExport::Merges::kPairs);
  if (!pre.is_null()) tokenizer["pre_tokenizer"] = pre;
  const json config = {{"architectures", {"LlamaForCausalLM"}},
                       {"hidden_size", 8},
                       {"intermediate_size", 8},
                       {"num_hidden_layers", 1},
                       {"num_attention_heads", 2},
                       {"max_position_embeddings", 16}};
  const file::Metadata metadata =
      file::huggingface_metadata({.config = config.dump(),
                                  .tokenizer = tokenizer.dump(),
                                  .tokenizer_config = test::hf_tokenizer_config_of(gguf).dump(),
                                  .special_tokens_map = "",
                                  .generation_config = "",
                                  .chat_template = ""},
                                 "folder");
  return text::Tokenizer::create(engine::load_vocab(metadata));
}

std::vector<std::string> inputs_of(const std::string& gguf) {
  const std::string all = test::read_file(gguf + ".inp"), separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> inputs;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find(separator, at), all.size());
    inputs.push_back(all.substr(at, end - at));
    at = end + separator.size();
  }
  return inputs;
}

TEST(HuggingFaceTokens, GivesThePublishedIds) {
  FATHOM_NEEDS_SHARED("reference/tokenizer");
  const std::pair<const char*, json> kVocabularies[] = {
      {"llama-spm", nullptr},
      {"phi-3", nullptr},
      {"starcoder", nullptr},
      {"gpt-2", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
  };
  for (const auto& [name, pre] : kVocabularies) {
    SCOPED_TRACE(name);
    const std::string path =
        *test::shared(std::string("reference/tokenizer/ggml-vocab-") + name + ".gguf");
    const auto tokenizer = by_way_of_json(file::Checkpoint::open(path).metadata(), pre);
    std::istringstream lines(test::read_file(path + ".out"));
    size_t checked = 0;
    for (const std::string& input : inputs_of(path)) {
      std::string line;
      ASSERT_TRUE(std::getline(lines, line));
      std::istringstream numbers(line);
      const std::vector<TokenId> want{std::istream_iterator<TokenId>(numbers), {}};
      EXPECT_EQ(tokenizer->encode(input, {.add = text::AddSpecial::kNever}), want)
          << "input " << checked << ": '" << input << "'";
      ++checked;
    }
    EXPECT_GE(checked, 40u);
  }
}

TEST(HuggingFaceTokens, TheBundledVocabularyIsTheSameBothWays) {
  const file::Checkpoint gguf = file::Checkpoint::open(test::bundled_model());
  const auto direct = text::Tokenizer::create(engine::load_vocab(gguf.metadata()));
  const auto by_json = by_way_of_json(gguf.metadata(), nullptr);
  for (const char* text :
       {"", " ", "The code of the amber lantern is 58291.", "a  b\n\n\tc", "it's we'll",
        "1234567 \u00e9t\u00e9 \u4e2d\u6587 \U0001f600", "<|user|>hi"}) {
    EXPECT_EQ(by_json->encode(text), direct->encode(text)) << text;
    const text::EncodeOptions parse{.special = text::SpecialTokens::kParse};
    EXPECT_EQ(by_json->encode(text, parse), direct->encode(text, parse)) << text;
  }
}

}  // namespace
}  // namespace fathom
