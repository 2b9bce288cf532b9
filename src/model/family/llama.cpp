// Llama 2 and 3.x, and who took over the architecture: Mistral, TinyLlama, SmolLM, Yi, ...
//
// Pre-norm, rotary attention with any grouping of heads (MHA, GQA, MQA), SwiGLU. GGUF's converter
// permutes Q and K so that rotation pairs lie side by side; a Hugging Face folder is not permuted
// and says so. Llama 3.1's stretched frequencies come as the tensor rope_freqs.
#include "model/family.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) {
  const bool half = keys.checkpoint().metadata().text("fathom.rope.style", "adjacent") == "half";
  config.rope.style = half ? kernel::RopeStyle::kHalf : kernel::RopeStyle::kAdjacent;
  read_window(keys, {}, config);
}

}  // namespace

const Family kLlama{"llama", "Llama 2 and 3, Mistral, TinyLlama, SmolLM", configure,
                    load_common_layer};

}  // namespace fathom::model
