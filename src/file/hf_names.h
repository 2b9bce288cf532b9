// What a Hugging Face folder calls its tensors, in GGUF's names. Part of huggingface.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "file/hf_config.h"

namespace fathom::file {

// nullopt: not a part of the language model (an image encoder, a buffer). Throws
// Error(kUnsupported) for a name that is not known. `source` is the file's name for messages.
std::optional<std::string> gguf_tensor_name(const HfConfig& config, std::string_view name,
                                            const std::string& source);

}  // namespace fathom::file
