// Reading a Hugging Face model folder: config.json, tokenizer.json, *.safetensors, and where they
// are there tokenizer_config.json, special_tokens_map.json, generation_config.json and
// chat_template.jinja (or chat_template.json).
//
// The folder is presented as if it were a GGUF file: tensor names, metadata keys and vocabulary in
// GGUF's vocabulary (checkpoint.h lists what is added to it). Weights are mapped, never copied, in
// BF16, F16 or F32; three kinds of tensors are small copies that the checkpoint owns:
//
//   vectors          norms and biases, as F32 as GGUF has them; Gemma's norms with their 1 added
//   RoPE divisors    rope_freqs, rope_factors_long and rope_factors_short, computed from
//   config.json stray tensors    those that a file does not align to their elements
//
// Where GGUF's converter would have permuted rows (Q and K of llama), the metadata key
// `fathom.rope.style` = "half" says so instead. Fused tensors (Phi-3's qkv_proj and gate_up_proj)
// stay fused, as they do in GGUF.
//
// Known architectures: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM,
// Phi3ForCausalLM, Gemma2ForCausalLM, Gemma3ForCausalLM and the text part of
// Gemma3ForConditionalGeneration. Others are refused by name, with this list.
#pragma once

#include <cstdint>
#include <string>

#include "file/checkpoint.h"

namespace fathom::file {

Checkpoint open_huggingface_folder(const std::string& path);

// The text files of a folder; empty where it has none.
struct HuggingFaceTexts {
  std::string config, tokenizer, tokenizer_config, special_tokens_map, generation_config;
  std::string chat_template;
};
// The metadata they give. `folder` is what messages call the place. `vocabulary` is the number of
// rows of the embedding, 0 where that is not known: then config.json is believed.
Metadata huggingface_metadata(const HuggingFaceTexts& texts, const std::string& folder,
                              uint64_t vocabulary = 0);

}  // namespace fathom::file
