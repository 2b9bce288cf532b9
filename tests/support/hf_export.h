// The way back from GGUF: a checkpoint as the Hugging Face folder it could have come from.
//
// For llama, qwen2, qwen3, phi3 and gemma2 models with float weights. Undoes what GGUF's converter
// does: rows of llama's Q and K in their first order, Gemma's norms without the 1.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "file/checkpoint.h"
#include "file/safetensors.h"

namespace fathom::test {

struct HfExport {
  size_t shards = 1;                                  // more than one: with an index
  std::optional<file::ElementType> matrix_type = {};  // BF16, F16 or F32; as they are without
  enum class Merges { kStrings, kPairs } merges = Merges::kStrings;
};

void export_huggingface(const file::Checkpoint& model, const std::string& folder,
                        const HfExport& options = {});

// The parts, for tests that change them before writing.
nlohmann::json hf_config_of(const file::Checkpoint& model);
nlohmann::json hf_tokenizer_of(const file::Metadata& metadata, HfExport::Merges merges);
nlohmann::json hf_tokenizer_config_of(const file::Metadata& metadata);

// The values of any float tensor.
std::vector<float> values_of(const file::TensorView& tensor);
// Rows of a matrix for "adjacent" RoPE in the order for "half" RoPE.
std::vector<float> half_order(const std::vector<float>& rows, size_t columns, size_t head_dim);

}  // namespace fathom::test
