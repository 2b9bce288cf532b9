// Qwen 2 and 2.5: Llama's layer with biases on Q, K and V.
#include "model/family.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) { read_window(keys, {}, config); }

}  // namespace

const Family kQwen2{"qwen2", "Qwen 2 and 2.5", configure, load_common_layer};

}  // namespace fathom::model
