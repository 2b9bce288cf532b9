#include "support/hf_export.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/half.h"
#include "file/safetensors_writer.h"
#include "kernel/block_formats.h"
#include "support/temp_dir.h"

namespace fathom::test {
namespace {

using file::Checkpoint;
using file::ElementType;
using file::Metadata;
using file::TensorView;
using Json = nlohmann::json;

const std::map<std::string, std::string> kHfClass = {{"llama", "LlamaForCausalLM"},
                                                     {"qwen2", "Qwen2ForCausalLM"},
                                                     {"qwen3", "Qwen3ForCausalLM"},
                                                     {"phi3", "Phi3ForCausalLM"},
                                                     {"gemma2", "Gemma2ForCausalLM"}};

const std::map<std::string, std::string> kHfPart = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
const std::map<std::string, std::string> kGemmaPart = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

std::string hf_name(const std::string& arch, const std::string& gguf) {
  std::string stem = gguf.substr(0, gguf.rfind('.')), layer;
  const std::string suffix = gguf.substr(gguf.rfind('.'));
  if (stem.starts_with("blk.")) {
    const size_t dot = stem.find('.', 4);
    layer = "model.layers." + stem.substr(4, dot - 4) + ".";
    stem = stem.substr(dot + 1);
  }
  if (arch == "gemma2" && kGemmaPart.contains(stem)) return layer + kGemmaPart.at(stem) + suffix;
  if (arch == "phi3" && stem == "ffn_up") return layer + "mlp.gate_up_proj" + suffix;
  return layer + kHfPart.at(stem) + suffix;
}

std::string stored(const std::vector<float>& values, ElementType type) {
  std::string bytes(values.size() * file::element_bytes(type), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == ElementType::kF32) {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    } else {
      const uint16_t bits =
          type == ElementType::kF16 ? to_half(values[i]).bits : to_bfloat(values[i]).bits;
      std::memcpy(&bytes[2 * i], &bits, 2);
    }
  }
  return bytes;
}

ElementType element_type(TensorType type) {
  return type == TensorType::kF16    ? ElementType::kF16
         : type == TensorType::kBF16 ? ElementType::kBF16
                                     : ElementType::kF32;
}

// A tensor as the folder has it, with its bytes.
struct Exported {
  std::string name, bytes;
  ElementType type;
  std::vector<uint64_t> shape;
};

Exported exported(const Checkpoint& model, const TensorView& tensor, const HfExport& options) {
  const std::string arch = model.metadata().require_text("general.architecture");
  const bool matrix = tensor.shape.size() > 1;
  std::vector<float> values = values_of(tensor);
  const bool turned = tensor.name.find(".attn_q.") != std::string::npos ||
                      tensor.name.find(".attn_k.") != std::string::npos;
  if (arch == "llama" && turned) {
    const auto dim = model.metadata().require_integer("llama.rope.dimension_count");
    values = half_order(values, matrix ? tensor.columns() : 1, static_cast<size_t>(dim));
  }
  if (arch == "gemma2" && tensor.name.ends_with("norm.weight")) {
    for (float& v : values) v -= 1.0f;
  }
  Exported out;
  out.name = hf_name(arch, tensor.name);
  out.type = matrix && options.matrix_type ? *options.matrix_type : element_type(tensor.type);
  out.shape.assign(tensor.shape.rbegin(), tensor.shape.rend());
  out.bytes = stored(values, out.type);
  return out;
}

void write_weights(const std::vector<Exported>& tensors, const std::string& folder, size_t shards) {
  std::vector<std::vector<file::SafetensorsView>> parts(shards);
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  const auto part_name = [&](size_t i) {
    char name[64];
    std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", i + 1, shards);
    return shards == 1 ? std::string("model.safetensors") : std::string(name);
  };
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Exported& t = tensors[i];
    parts[i % shards].push_back({t.name, t.type, t.shape, std::as_bytes(std::span(t.bytes))});
    index["weight_map"][t.name] = part_name(i % shards);
  }
  for (size_t i = 0; i < shards; ++i) {
    file::write_safetensors(folder + "/" + part_name(i), parts[i], {{"format", "pt"}});
  }
  if (shards > 1) write_file(folder + "/model.safetensors.index.json", index.dump());
}

// SentencePiece vocabularies have no merges: they follow from the scores, best result first.
std::vector<std::pair<std::string, std::string>> merges_from_scores(const Metadata& metadata) {
  const auto& tokens = *metadata.strings("tokenizer.ggml.tokens");
  const auto& kinds = *metadata.integers("tokenizer.ggml.token_type");
  const auto scores = *metadata.numbers("tokenizer.ggml.scores");
  std::map<std::string, size_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (kinds[i] == 1) ids[tokens[i]] = i;
  }
  struct Merge {
    double score;
    size_t left, right;
  };
  std::vector<Merge> merges;
  for (const auto& [token, id] : ids) {
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
      if (left != ids.end() && right != ids.end()) {
        merges.push_back({scores[id], left->second, right->second});
      }
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(-a.score, a.left, a.right) < std::tuple(-b.score, b.left, b.right);
  });
  std::vector<std::pair<std::string, std::string>> out;
  for (const Merge& m : merges) out.emplace_back(tokens[m.left], tokens[m.right]);
  return out;
}

std::vector<std::pair<std::string, std::string>> merges_of(const Metadata& metadata) {
  const auto* merges = metadata.strings("tokenizer.ggml.merges");
  if (!merges) return merges_from_scores(metadata);
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& m : *merges) {
    const size_t space = m.find(' ');
    out.emplace_back(m.substr(0, space), m.substr(space + 1));
  }
  return out;
}

Json byte_level_steps() {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Digits"}, {"individual_digits", true}},
            {{"type", "ByteLevel"},
             {"add_prefix_space", false},
             {"trim_offsets", true},
             {"use_regex", true}}}}};
}

Json marked_normalizer() {
  return {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "Prepend"}, {"prepend", "\u2581"}},
            {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}};
}

}  // namespace

std::vector<float> values_of(const TensorView& tensor) {
  std::vector<float> out(tensor.values());
  kernel::dequantize_row(tensor.type, tensor.data.data(), out);
  return out;
}

std::vector<float> half_order(const std::vector<float>& rows, size_t columns, size_t head_dim) {
  std::vector<float> out(rows.size());
  for (size_t row = 0; row < rows.size() / columns; ++row) {
    const size_t in_head = row % head_dim;
    const size_t to = row - in_head + in_head / 2 + in_head % 2 * (head_dim / 2);
    std::copy_n(&rows[row * columns], columns, &out[to * columns]);
  }
  return out;
}

Json hf_config_of(const Checkpoint& model) {
  const Metadata& m = model.metadata();
  const std::string arch = m.require_text("general.architecture");
  const auto integer = [&](const std::string& key) { return m.require_integer(arch + "." + key); };
  Json config = {
      {"architectures", {kHfClass.at(arch)}},
      {"hidden_size", integer("embedding_length")},
      {"intermediate_size", integer("feed_forward_length")},
      {"num_hidden_layers", integer("block_count")},
      {"num_attention_heads", integer("attention.head_count")},
      {"num_key_value_heads", integer("attention.head_count_kv")},
      {"head_dim", integer("rope.dimension_count")},
      {"max_position_embeddings", integer("context_length")},
      {"vocab_size", integer("vocab_size")},
      {"rms_norm_eps", m.number(arch + ".attention.layer_norm_rms_epsilon", 0)},
      {"rope_theta", m.number(arch + ".rope.freq_base", 0)},
      {"tie_word_embeddings", model.find("output.weight") == nullptr},
      {"hidden_act", arch == "gemma2" ? "gelu_pytorch_tanh" : "silu"},
      {"torch_dtype", "float32"},
      {"rope_scaling", nullptr},
  };
  if (m.has(arch + ".attention.sliding_window")) {
    config["sliding_window"] = integer("attention.sliding_window");
  }
  if (arch == "gemma2") {
    config["attn_logit_softcapping"] = m.number("gemma2.attn_logit_softcapping", 0);
    config["final_logit_softcapping"] = m.number("gemma2.final_logit_softcapping", 0);
    config["query_pre_attn_scalar"] = integer("attention.key_length");
  }
  return config;
}

Json hf_tokenizer_of(const Metadata& m, HfExport::Merges merges) {
  const auto& tokens = *m.strings("tokenizer.ggml.tokens");
  const auto& kinds = *m.integers("tokenizer.ggml.token_type");
  const bool bytes = m.require_text("tokenizer.ggml.model") == "gpt2";
  Json tokenizer = {{"version", "1.0"}, {"added_tokens", Json::array()}};
  tokenizer["pre_tokenizer"] = bytes ? byte_level_steps() : Json();
  tokenizer["normalizer"] = bytes ? Json() : marked_normalizer();
  Json& model = tokenizer["model"] = {{"type", "BPE"}, {"byte_fallback", !bytes}};
  model["vocab"] = Json::object();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool added = kinds[id] >= 2 && kinds[id] <= 4;
    if (added) {
      tokenizer["added_tokens"].push_back({{"id", id},
                                           {"content", tokens[id]},
                                           {"special", kinds[id] != 4},
                                           {"normalized", false}});
    }
    if (kinds[id] == 2) model["unk_token"] = tokens[id];
    if (!added || !bytes) model["vocab"][tokens[id]] = id;
  }
  Json& list = model["merges"] = Json::array();
  for (const auto& [left, right] : merges_of(m)) {
    if (merges == HfExport::Merges::kPairs) {
      list.push_back({left, right});
    } else {
      list.push_back(left + " " + right);
    }
  }
  return tokenizer;
}

Json hf_tokenizer_config_of(const Metadata& m) {
  const auto& tokens = *m.strings("tokenizer.ggml.tokens");
  Json config = {{"chat_template", m.text("tokenizer.chat_template", "")}};
  for (const char* role : {"bos", "eos"}) {
    const auto id = m.integer(std::string("tokenizer.ggml.") + role + "_token_id", -1);
    if (id >= 0) config[std::string(role) + "_token"] = tokens[static_cast<size_t>(id)];
    const std::string key = std::string("add_") + role + "_token";
    if (m.has("tokenizer.ggml." + key)) config[key] = m.flag("tokenizer.ggml." + key, false);
  }
  return config;
}

void export_huggingface(const Checkpoint& model, const std::string& folder,
                        const HfExport& options) {
  std::vector<Exported> tensors;
  for (const TensorView& t : model.tensors()) {
    // RoPE's divisors are computed from config.json.
    if (!t.name.starts_with("rope_")) tensors.push_back(exported(model, t, options));
  }
  write_weights(tensors, folder, options.shards);
  write_file(folder + "/config.json", hf_config_of(model).dump(2));
  write_file(folder + "/tokenizer.json", hf_tokenizer_of(model.metadata(), options.merges).dump());
  write_file(folder + "/tokenizer_config.json", hf_tokenizer_config_of(model.metadata()).dump());
}

}  // namespace fathom::test
