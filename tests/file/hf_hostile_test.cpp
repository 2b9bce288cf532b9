// Damaged and malicious config.json and tokenizer.json: read or refused, never worse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "file/huggingface.h"
#include "support/hf_export.h"
#include "support/shared_data.h"

namespace fathom::file {
namespace {

using nlohmann::json;
using testing::StartsWith;

HuggingFaceTexts good_texts() {
  const Checkpoint model = Checkpoint::open(test::reference("logits/gemma2.gguf"));
  json config = test::hf_config_of(model);
  config["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8.0}};
  return {
      .config = config.dump(),
      .tokenizer = test::hf_tokenizer_of(model.metadata(), test::HfExport::Merges::kPairs).dump(),
      .tokenizer_config = test::hf_tokenizer_config_of(model.metadata()).dump(),
      .special_tokens_map = R"({"bos_token":{"content":"x"}})",
      .generation_config = R"({"eos_token_id":[1,2]})",
      .chat_template = ""};
}

// True where the texts were read.
bool read(const HuggingFaceTexts& texts) {
  try {
    huggingface_metadata(texts, "folder");
    return true;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), StartsWith("folder")) << "the message names the file";
    EXPECT_LT(std::string(e.what()).size(), 600u);
    return false;
  }
}

std::string HuggingFaceTexts::*const kTexts[] = {
    &HuggingFaceTexts::config, &HuggingFaceTexts::tokenizer, &HuggingFaceTexts::tokenizer_config,
    &HuggingFaceTexts::special_tokens_map, &HuggingFaceTexts::generation_config};

TEST(HostileHuggingFace, TextsCutAnywhere) {
  const HuggingFaceTexts good = good_texts();
  ASSERT_TRUE(read(good));
  std::mt19937_64 random(3);
  for (auto member : kTexts) {
    for (int i = 0; i < 60; ++i) {
      HuggingFaceTexts bad = good;
      (bad.*member).resize(1 + random() % ((bad.*member).size() - 1));
      EXPECT_FALSE(read(bad));
    }
  }
}

TEST(HostileHuggingFace, OneCharacterChanged) {
  const HuggingFaceTexts good = good_texts();
  const std::string digits = "0123456789-.eE[]{}\",:ntf \\";
  std::mt19937_64 random(4);
  for (auto member : kTexts) {
    for (int i = 0; i < 400; ++i) {
      HuggingFaceTexts bad = good;
      std::string& text = bad.*member;
      text[random() % text.size()] = digits[random() % digits.size()];
      read(bad);
    }
  }
}

// Every value of both files, replaced by each of these.
TEST(HostileHuggingFace, EveryValueOfAnotherType) {
  const HuggingFaceTexts good = good_texts();
  const json others[] = {nullptr,
                         true,
                         -1,
                         0,
                         1e308,
                         uint64_t{UINT64_MAX},
                         int64_t{INT64_MAX},
                         "",
                         "x",
                         json::array(),
                         json::object(),
                         json::array({json::array()})};
  for (auto member : {&HuggingFaceTexts::config, &HuggingFaceTexts::tokenizer_config,
                      &HuggingFaceTexts::generation_config, &HuggingFaceTexts::tokenizer}) {
    const json whole = json::parse(good.*member);
    const json flat = whole.flatten();
    size_t done = 0;
    for (const auto& [pointer, unused] : flat.items()) {
      // Of the vocabulary and the merges a few stand for all.
      const bool many = pointer.starts_with("/model/vocab") || pointer.starts_with("/model/merges");
      if (many && done++ % 100 != 0) continue;
      for (const json& other : others) {
        json bad = whole;
        bad[json::json_pointer(pointer)] = other;
        HuggingFaceTexts texts = good;
        texts.*member = bad.dump();
        read(texts);
      }
    }
  }
}

TEST(HostileHuggingFace, Bombs) {
  HuggingFaceTexts bad = good_texts();
  for (auto member : kTexts) {
    for (const std::string& bomb :
         {std::string(1'000'000, '['), "{\"a\":" + std::string(100'000, '['),
          "[" + std::string(200'000, ' ')}) {
      HuggingFaceTexts texts = bad;
      texts.*member = bomb;
      EXPECT_FALSE(read(texts));
    }
  }
  // Numbers that would make lists of that length.
  for (const char* key : {"num_hidden_layers", "vocab_size", "head_dim", "num_attention_heads"}) {
    for (const int64_t n : {int64_t{1} << 30, INT64_MAX, int64_t{0}, int64_t{-1}}) {
      HuggingFaceTexts texts = good_texts();
      json config = json::parse(texts.config);
      config[key] = n;
      texts.config = config.dump();
      EXPECT_FALSE(read(texts)) << key << " " << n;
    }
  }
}

}  // namespace
}  // namespace fathom::file
