#include "file/hf_names.h"

#include <span>

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

struct Renamed {
  std::string_view hf, gguf;
};

// Parts of a layer, the same in all families but for the norms around the blocks.
constexpr Renamed kLayerParts[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},  {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},      {"mlp.down_proj", "ffn_down"},
};
constexpr Renamed kPlainNorms[] = {{"post_attention_layernorm", "ffn_norm"}};
constexpr Renamed kGemmaNorms[] = {{"post_attention_layernorm", "post_attention_norm"},
                                   {"pre_feedforward_layernorm", "ffn_norm"},
                                   {"post_feedforward_layernorm", "post_ffw_norm"}};
constexpr Renamed kWholeParts[] = {
    {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};

std::optional<std::string_view> renamed(std::span<const Renamed> names, std::string_view hf) {
  for (const Renamed& r : names) {
    if (r.hf == hf) return r.gguf;
  }
  return std::nullopt;
}

// "model.layers.12.mlp.up_proj" -> 12 and "mlp.up_proj".
struct LayerPart {
  uint64_t layer = 0;
  std::string_view part;
};
std::optional<LayerPart> layer_part(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot > 4) return std::nullopt;
  LayerPart found;
  for (const char c : name.substr(0, dot)) {
    if (c < '0' || c > '9') return std::nullopt;
    found.layer = found.layer * 10 + static_cast<uint64_t>(c - '0');
  }
  found.part = name.substr(dot + 1);
  return found;
}

// The language model inside a model that also sees: two spellings of where it is.
std::string without_wrapper(std::string_view name) {
  for (const std::string_view prefix : {"language_model.model.", "model.language_model."}) {
    if (name.starts_with(prefix)) return "model." + std::string(name.substr(prefix.size()));
  }
  constexpr std::string_view kHead = "language_model.lm_head.";
  if (name.starts_with(kHead)) return "lm_head." + std::string(name.substr(kHead.size()));
  return std::string(name);
}

bool outside_the_language_model(std::string_view name) {
  for (const std::string_view prefix : {"vision_tower.", "multi_modal_projector.",
                                        "model.vision_tower.", "model.multi_modal_projector."}) {
    if (name.starts_with(prefix)) return true;
  }
  return name.ends_with(".rotary_emb.inv_freq");
}

}  // namespace

std::optional<std::string> gguf_tensor_name(const HfConfig& config, std::string_view name,
                                            const std::string& source) {
  if (outside_the_language_model(name)) return std::nullopt;
  const std::string inner = without_wrapper(name);
  const size_t dot = inner.rfind('.');
  const std::string_view stem = std::string_view(inner).substr(0, dot);
  const std::string_view suffix =
      dot == std::string::npos ? "" : std::string_view(inner).substr(dot);
  if (suffix == ".weight" || suffix == ".bias") {
    if (const auto whole = renamed(kWholeParts, stem))
      return std::string(*whole) + std::string(suffix);
    const auto layer = layer_part(stem);
    if (layer && layer->layer < config.layers) {
      auto part = renamed(kLayerParts, layer->part);
      if (!part) {
        part =
            config.gemma() ? renamed(kGemmaNorms, layer->part) : renamed(kPlainNorms, layer->part);
      }
      if (part) return fmt::format("blk.{}.{}{}", layer->layer, *part, suffix);
    }
  }
  throw unsupported(source, "tensor {} has no place in a {} model of {} layers", quoted_name(name),
                    config.arch, config.layers);
}

}  // namespace fathom::file
