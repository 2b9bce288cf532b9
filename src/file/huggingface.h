// Reading a Hugging Face model folder: config.json, tokenizer.json (or tokenizer.model's absence),
// tokenizer_config.json, generation_config.json and *.safetensors.
//
// The folder is presented as if it were a GGUF file: tensor names, metadata keys and vocabulary in
// GGUF's vocabulary. Tensors are mapped, never copied; where GGUF's converter would have permuted
// rows (Q and K of llama), the metadata key `fathom.rope.style` = "half" says so instead.
#pragma once

#include <string>

#include "file/checkpoint.h"

namespace fathom::file {

Checkpoint open_huggingface_folder(const std::string& path);

}  // namespace fathom::file
