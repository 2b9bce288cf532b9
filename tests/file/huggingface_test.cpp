#include "file/huggingface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "file/safetensors_writer.h"
#include "support/hf_export.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::file {
namespace {

using nlohmann::json;
using test::HfExport;
using testing::ElementsAre;
using testing::HasSubstr;

// Every model, both ways of writing merges, one file and several.
struct Case {
  const char* name;
  HfExport options;
};
const Case kCases[] = {
    {"fathom-tiny", {.shards = 3}},
    {"llama", {}},
    {"llama3-rope", {.shards = 2}},
    {"qwen2", {.merges = HfExport::Merges::kPairs}},
    {"qwen3", {}},
    {"phi3", {}},
    {"gemma2", {.shards = 2, .merges = HfExport::Merges::kPairs}},
};

std::string gguf_path(const std::string& name) {
  return name == "fathom-tiny" ? test::bundled_model()
                               : test::reference("logits/" + name + ".gguf");
}

class HuggingFace : public testing::TestWithParam<Case> {
 protected:
  HuggingFace() : gguf_(Checkpoint::open(gguf_path(GetParam().name))) {
    test::export_huggingface(gguf_, dir_.path(), GetParam().options);
  }
  std::string arch() const { return gguf_.metadata().require_text("general.architecture"); }

  test::TempDir dir_;
  Checkpoint gguf_;
};
INSTANTIATE_TEST_SUITE_P(Models, HuggingFace, testing::ValuesIn(kCases), [](const auto& c) {
  std::string name = c.param.name;
  std::erase(name, '-');
  return name;
});

TEST_P(HuggingFace, HoldsTheSameTensors) {
  const Checkpoint hf = Checkpoint::open(dir_.path());
  EXPECT_EQ(hf.format(), "safetensors folder");
  size_t compared = 0;
  for (const TensorView& want : gguf_.tensors()) {
    if (want.name == "rope_freqs.weight") continue;  // not in the exported config.json
    const TensorView& got = hf.require(want.name);
    EXPECT_EQ(got.shape, want.shape) << want.name;
    EXPECT_EQ(got.type, want.type) << want.name;
    std::vector<float> values = test::values_of(want);
    const bool turned = want.name.find(".attn_q.") != std::string::npos ||
                        want.name.find(".attn_k.") != std::string::npos;
    if (arch() == "llama" && turned) values = test::half_order(values, want.columns(), 32);
    const bool shifted = arch() == "gemma2" && want.name.ends_with("norm.weight");
    const std::vector<float> read = test::values_of(got);
    ASSERT_EQ(read.size(), values.size()) << want.name;
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(read[i], values[i], shifted ? 1e-6 : 0) << want.name << " " << i;
    }
    ++compared;
  }
  EXPECT_EQ(hf.tensors().size(), compared);
}

TEST_P(HuggingFace, SaysTheSameOfTheModel) {
  const Checkpoint hf = Checkpoint::open(dir_.path());
  const Metadata& got = hf.metadata();
  EXPECT_EQ(got.require_text("general.architecture"), arch());
  EXPECT_EQ(got.require_text("fathom.rope.style"), "half");
  size_t compared = 0;
  for (const auto& [key, want] : gguf_.metadata().all()) {
    if (!key.starts_with(arch() + ".")) continue;
    ASSERT_TRUE(got.has(key)) << key;
    EXPECT_EQ(got.number(key, -1), gguf_.metadata().number(key, -2)) << key;
    ++compared;
  }
  EXPECT_GE(compared, 10u);
}

TEST_P(HuggingFace, HasTheSameVocabulary) {
  const Checkpoint hf = Checkpoint::open(dir_.path());
  for (const char* key :
       {"tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
        "tokenizer.ggml.merges", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.add_bos_token"}) {
    const Value* got = hf.metadata().find(key);
    ASSERT_NE(got, nullptr) << key;
    EXPECT_TRUE(*got == *gguf_.metadata().find(key)) << key;
  }
  EXPECT_EQ(hf.metadata().text("tokenizer.chat_template", ""),
            gguf_.metadata().text("tokenizer.chat_template", ""));
  const Strings* patterns = hf.metadata().strings("fathom.tokenizer.pre_patterns");
  ASSERT_NE(patterns, nullptr);
  ASSERT_EQ(patterns->size(), 2u);
  EXPECT_EQ(patterns->front(), R"(\p{N})");
  EXPECT_THAT(patterns->back(), testing::StartsWith("'s|'t|'re"));
}

// A folder of the smallest model, written after a test had its way with its parts.
class Folder {
 public:
  Folder() : gguf_(Checkpoint::open(gguf_path("llama"))) {
    test::export_huggingface(gguf_, dir_.path());
    config = test::hf_config_of(gguf_);
    tokenizer = test::hf_tokenizer_of(gguf_.metadata(), HfExport::Merges::kStrings);
    tokenizer_config = test::hf_tokenizer_config_of(gguf_.metadata());
  }

  Checkpoint open() const {
    test::write_file(path("config.json"), config.dump());
    test::write_file(path("tokenizer.json"), tokenizer.dump());
    test::write_file(path("tokenizer_config.json"), tokenizer_config.dump());
    return Checkpoint::open(dir_.path());
  }
  std::string path(const std::string& name) const { return dir_.file(name); }
  const Checkpoint& gguf() const { return gguf_; }

  json config, tokenizer, tokenizer_config;

 private:
  test::TempDir dir_;
  Checkpoint gguf_;
};

std::string failure(const Folder& folder, ErrorCode code) {
  try {
    folder.open();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return std::string(e.what()) + " | " + e.hint();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(HuggingFaceFolder, Bf16AndF16WeightsAreMappedAsTheyAre) {
  for (const ElementType type : {ElementType::kBF16, ElementType::kF16}) {
    test::TempDir dir;
    const Checkpoint gguf = Checkpoint::open(gguf_path("qwen2"));
    test::export_huggingface(gguf, dir.path(), {.matrix_type = type});
    const Checkpoint hf = Checkpoint::open(dir.path());
    const TensorView& up = hf.require("blk.1.ffn_up.weight");
    const bool brain = type == ElementType::kBF16;
    EXPECT_EQ(up.type, brain ? TensorType::kBF16 : TensorType::kF16);
    EXPECT_EQ(up.file->path(), dir.file("model.safetensors"));
    const std::vector<float> want = test::values_of(gguf.require("blk.1.ffn_up.weight"));
    const std::vector<float> got = test::values_of(up);
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i], brain ? to_float(to_bfloat(want[i])) : to_float(to_half(want[i])));
    }
    // Vectors are F32 whatever the rest is.
    EXPECT_EQ(hf.require("blk.1.attn_q.bias").type, TensorType::kF32);
  }
}

TEST(HuggingFaceFolder, TensorsThatAreNotAlignedAreCopied) {
  Folder folder;
  // One byte of another tensor in front of everything would be refused by name; a header whose
  // length is odd does the same.
  std::string bytes = test::read_file(folder.path("model.safetensors"));
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  ++length;
  std::memcpy(bytes.data(), &length, 8);
  bytes.insert(8 + length - 1, " ");
  test::write_file(folder.path("model.safetensors"), bytes);
  const Checkpoint hf = folder.open();
  const TensorView& down = hf.require("blk.0.ffn_down.weight");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(down.data.data()) % 4, 0u);
  EXPECT_EQ(test::values_of(down), test::values_of(folder.gguf().require("blk.0.ffn_down.weight")));
}

TEST(HuggingFaceFolder, Llama3ScalingBecomesDivisors) {
  Folder folder;
  folder.config["rope_theta"] = 500000.0;
  folder.config["rope_scaling"] = {{"rope_type", "llama3"},
                                   {"factor", 8.0},
                                   {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0},
                                   {"original_max_position_embeddings", 8192}};
  const Checkpoint hf = folder.open();
  const TensorView& freqs = hf.require("rope_freqs.weight");
  EXPECT_EQ(freqs.shape, (std::vector<uint64_t>{16}));
  const std::vector<float> got = test::values_of(freqs);
  // Wavelengths of dimensions 0 to 7 stay under 2048 = 8192 / 4, from 9 on they are over 8192.
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(got[i], 1.0f) << i;
  const double waves = 8192 / (2 * M_PI * std::pow(500000.0, 0.5));
  EXPECT_NEAR(got[8], 1 / ((1 - (waves - 1) / 3) / 8 + (waves - 1) / 3), 1e-5);
  EXPECT_NEAR(got[8], 2.6945, 1e-4);
  for (size_t i = 9; i < 16; ++i) EXPECT_EQ(got[i], 8.0f) << i;
}

TEST(HuggingFaceFolder, LongropeGivesFactorsAndAnAttentionFactor) {
  Folder folder;
  json factors = json::array();
  for (int i = 0; i < 16; ++i) factors.push_back(1.0 + 0.5 * i);
  folder.config["original_max_position_embeddings"] = 256;
  folder.config["max_position_embeddings"] = 4096;
  folder.config["rope_scaling"] = {
      {"type", "su"}, {"long_factor", factors}, {"short_factor", factors}};
  folder.config["rope_scaling"]["short_factor"][3] = 1.25;
  const Checkpoint hf = folder.open();
  EXPECT_EQ(test::values_of(hf.require("rope_factors_long.weight"))[15], 8.5f);
  EXPECT_EQ(test::values_of(hf.require("rope_factors_short.weight"))[3], 1.25f);
  EXPECT_EQ(hf.metadata().require_text("llama.rope.scaling.type"), "longrope");
  EXPECT_EQ(hf.metadata().require_integer("llama.rope.scaling.original_context_length"), 256);
  // sqrt(1 + ln 16 / ln 256)
  EXPECT_NEAR(hf.metadata().number("llama.rope.scaling.attn_factor", 0), std::sqrt(1.5), 1e-12);
  folder.config["rope_scaling"]["long_factor"].erase(0);
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("rope_scaling.long_factor"));
}

TEST(HuggingFaceFolder, YarnAndLinearScalingAreKeys) {
  Folder folder;
  folder.config["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 1024}};
  Checkpoint hf = folder.open();
  EXPECT_EQ(hf.metadata().require_text("llama.rope.scaling.type"), "yarn");
  EXPECT_EQ(hf.metadata().number("llama.rope.scaling.factor", 0), 4.0);
  EXPECT_EQ(hf.metadata().require_integer("llama.rope.scaling.original_context_length"), 1024);
  EXPECT_FALSE(hf.metadata().has("llama.rope.scaling.attn_factor"));
  // rope_parameters is how newer folders say it.
  folder.config.erase("rope_scaling");
  folder.config.erase("rope_theta");
  folder.config["rope_parameters"] = {
      {"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 123.0}};
  hf = folder.open();
  EXPECT_EQ(hf.metadata().require_text("llama.rope.scaling.type"), "linear");
  EXPECT_EQ(hf.metadata().number("llama.rope.scaling.factor", 0), 2.0);
  EXPECT_EQ(hf.metadata().number("llama.rope.freq_base", 0), 123.0);
  folder.config["rope_parameters"]["rope_type"] = "dynamic";
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported), HasSubstr("'dynamic'"));
}

TEST(HuggingFaceFolder, SlidingWindowsAndTheirLayers) {
  Folder folder;
  folder.config["architectures"] = {"MistralForCausalLM"};
  folder.config["sliding_window"] = 128;
  Checkpoint hf = folder.open();
  EXPECT_EQ(hf.metadata().require_text("general.architecture"), "llama");
  EXPECT_EQ(hf.metadata().require_integer("llama.attention.sliding_window"), 128);
  EXPECT_FALSE(hf.metadata().has("llama.attention.sliding_window_pattern")) << "all layers have it";
  folder.config["layer_types"] = {"full_attention", "sliding_attention"};
  hf = folder.open();
  EXPECT_THAT(*hf.metadata().integers("llama.attention.sliding_window_pattern"), ElementsAre(0, 1));
  folder.config["layer_types"] = {"sliding_attention", "full_attention"};
  EXPECT_EQ(folder.open().metadata().require_integer("llama.attention.sliding_window_pattern"), 2);
  folder.config["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_FALSE(folder.open().metadata().has("llama.attention.sliding_window"));
  folder.config["layer_types"] = {"full_attention", "chunked_attention"};
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported), HasSubstr("'chunked_attention'"));
  folder.config["layer_types"] = {"sliding_attention"};
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("1 entries for 2 layers"));
  folder.config["sliding_window"] = nullptr;
  EXPECT_FALSE(folder.open().metadata().has("llama.attention.sliding_window"));

  folder.config["architectures"] = {"Qwen2ForCausalLM"};
  folder.config["sliding_window"] = 64;
  EXPECT_FALSE(folder.open().metadata().has("qwen2.attention.sliding_window"));
  folder.config.erase("layer_types");
  folder.config["use_sliding_window"] = true;
  folder.config["max_window_layers"] = 1;
  hf = folder.open();
  EXPECT_THAT(*hf.metadata().integers("qwen2.attention.sliding_window_pattern"), ElementsAre(0, 1));
}

TEST(HuggingFaceFolder, Gemma2SaysItsCapsWindowAndScale) {
  test::TempDir dir;
  const Checkpoint gguf = Checkpoint::open(gguf_path("gemma2"));
  test::export_huggingface(gguf, dir.path());
  json config = test::hf_config_of(gguf);
  config["query_pre_attn_scalar"] = 144;
  config["attn_logit_softcapping"] = nullptr;
  test::write_file(dir.file("config.json"), config.dump());
  const Checkpoint hf = Checkpoint::open(dir.path());
  EXPECT_EQ(hf.metadata().number("gemma2.attn_logit_softcapping", -1), 0.0);
  EXPECT_EQ(hf.metadata().number("gemma2.final_logit_softcapping", -1), 30.0);
  EXPECT_EQ(hf.metadata().number("gemma2.attention.query_pre_attn_scalar", 0), 144);
  EXPECT_EQ(hf.metadata().require_integer("gemma2.attention.sliding_window_pattern"), 2);
}

// The text part of a model that sees: config.json says little and the names have a prefix.
TEST(HuggingFaceFolder, Gemma3TextPart) {
  for (const std::string prefix : {"language_model.model.", "model.language_model."}) {
    test::TempDir dir;
    const std::vector<float> zeros(64 * 512, 0.25f);
    std::vector<SafetensorsView> tensors;
    const auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
      uint64_t count = 1;
      for (const uint64_t axis : shape) count *= axis;
      tensors.push_back(
          safetensors_view<float>(name, ElementType::kF32, shape, std::span(zeros).first(count)));
    };
    add(prefix + "embed_tokens.weight", {512, 64});
    add(prefix + "norm.weight", {64});
    add(prefix + "layers.5.post_feedforward_layernorm.weight", {64});
    add(prefix + "layers.5.self_attn.q_norm.weight", {64});
    add(prefix + "layers.5.mlp.gate_proj.weight", {64, 64});
    add("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", {64, 64});
    write_safetensors(dir.file("model.safetensors"), tensors);
    const json config = {
        {"architectures", {"Gemma3ForConditionalGeneration"}},
        {"text_config",
         {{"hidden_size", 64},
          {"num_hidden_layers", 7},
          {"sliding_window", 16},
          {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}}},
    };
    test::write_file(dir.file("config.json"), config.dump());
    const Checkpoint gguf = Checkpoint::open(gguf_path("gemma2"));
    test::write_file(dir.file("tokenizer.json"),
                     test::hf_tokenizer_of(gguf.metadata(), HfExport::Merges::kStrings).dump());
    const Checkpoint hf = Checkpoint::open(dir.path());
    EXPECT_EQ(hf.tensors().size(), 5u);
    EXPECT_EQ(test::values_of(hf.require("blk.5.post_ffw_norm.weight"))[0], 1.25f);
    EXPECT_EQ(test::values_of(hf.require("blk.5.attn_q_norm.weight"))[0], 1.25f);
    EXPECT_EQ(test::values_of(hf.require("blk.5.ffn_gate.weight"))[0], 0.25f);
    const Metadata& m = hf.metadata();
    EXPECT_EQ(m.require_integer("gemma3.attention.head_count"), 8);
    EXPECT_EQ(m.require_integer("gemma3.attention.head_count_kv"), 4);
    EXPECT_EQ(m.require_integer("gemma3.attention.key_length"), 256);
    EXPECT_EQ(m.require_integer("gemma3.vocab_size"), 512);
    EXPECT_EQ(m.number("gemma3.rope.freq_base", 0), 1e6);
    EXPECT_EQ(m.number("gemma3.rope.freq_base_swa", 0), 1e4);
    EXPECT_EQ(m.number("gemma3.rope.scaling.factor", 0), 8.0);
    EXPECT_EQ(m.require_integer("gemma3.attention.sliding_window_pattern"), 6);
    EXPECT_FALSE(m.has("gemma3.final_logit_softcapping"));
  }
}

TEST(HuggingFaceFolder, RefusesWhatItDoesNotKnowByName) {
  Folder folder;
  folder.config["architectures"] = {"MambaForCausalLM"};
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported),
              testing::AllOf(HasSubstr("'MambaForCausalLM'"), HasSubstr("Qwen3ForCausalLM")));
  folder.config["architectures"] = {"LlamaForCausalLM"};
  folder.config["hidden_act"] = "relu";
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported), HasSubstr("'relu'"));
  folder.config["hidden_act"] = "silu";
  folder.config["quantization_config"] = {{"quant_method", "gptq"}};
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported), HasSubstr("'gptq'"));
  folder.config.erase("quantization_config");
  folder.config["num_hidden_layers"] = 1;
  EXPECT_THAT(failure(folder, ErrorCode::kUnsupported), HasSubstr("model.layers.1."));
  folder.config["num_hidden_layers"] = 1e9;
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("num_hidden_layers"));
  folder.config["num_hidden_layers"] = "two";
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("num_hidden_layers"));
  folder.config.erase("num_hidden_layers");
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("num_hidden_layers"));
}

TEST(HuggingFaceFolder, SaysWhichFileIsMissing) {
  Folder folder;
  folder.open();
  std::filesystem::remove(folder.path("model.safetensors"));
  EXPECT_THAT(failure(folder, ErrorCode::kBadFile), HasSubstr("safetensors"));
  test::TempDir empty;
  EXPECT_THROW(Checkpoint::open(empty.path()), Error);
  test::write_file(empty.file("config.json"), "{}");
  test::write_file(empty.file("tokenizer.model"), "x");
  try {
    Checkpoint::open(empty.path());
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("tokenizer.json"));
    EXPECT_THAT(e.hint(), HasSubstr("tokenizer.model"));
  }
}

TEST(HuggingFaceFolder, TiedEmbeddingsHaveNoOutput) {
  Folder folder;
  folder.config["tie_word_embeddings"] = true;
  EXPECT_EQ(folder.open().find("output.weight"), nullptr);
  folder.config.erase("tie_word_embeddings");
  EXPECT_NE(folder.open().find("output.weight"), nullptr);
  test::TempDir dir;
  const Checkpoint tied = Checkpoint::open(gguf_path("qwen3"));
  test::export_huggingface(tied, dir.path());
  json config = test::hf_config_of(tied);
  config["tie_word_embeddings"] = false;
  test::write_file(dir.file("config.json"), config.dump());
  EXPECT_THROW(Checkpoint::open(dir.path()), Error);
}

TEST(HuggingFaceFolder, AnIndexAndItsPartsMustAgree) {
  test::TempDir dir;
  const Checkpoint gguf = Checkpoint::open(gguf_path("llama"));
  test::export_huggingface(gguf, dir.path(), {.shards = 2});
  const std::string path = dir.file("model.safetensors.index.json");
  const json good = json::parse(test::read_file(path));
  const auto fails_with = [&](const json& index, const std::string& message) {
    test::write_file(path, index.dump());
    try {
      Checkpoint::open(dir.path());
      ADD_FAILURE() << message;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  };
  json bad = good;
  bad["weight_map"]["model.norm.weight"] = "../model.safetensors";
  fails_with(bad, "not a plain file name");
  bad = good;
  bad["weight_map"]["one.more"] = good["weight_map"]["model.norm.weight"];
  fails_with(bad, "index.json names 22");
  bad = good;
  bad["weight_map"].erase("model.norm.weight");
  fails_with(bad, "'model.norm.weight', which the index puts elsewhere");
  bad["weight_map"]["model.norm.weight"] = "model-00000-of-00002.safetensors";
  fails_with(bad, "model-00000-of-00002.safetensors: cannot be opened");
  fails_with({{"weight_map", json::object()}}, "names no tensor");
  test::write_file(path, good.dump());
  EXPECT_EQ(Checkpoint::open(dir.path()).tensors().size(), 21u);
}

}  // namespace
}  // namespace fathom::file
