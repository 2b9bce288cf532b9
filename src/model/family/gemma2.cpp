// Gemma 2: soft caps on attention scores and logits, every other layer windowed, norms before and
// after attention and feed-forward.
#include "model/family/gemma.h"

namespace fathom::model {
namespace {

void configure(const KeyReader& keys, Config& config) {
  configure_gemma(keys, config);
  read_window(keys, {4096, 2}, config);
  config.attention_soft_cap = keys.number("attn_logit_softcapping", 50.0f);
  config.logit_soft_cap = keys.number("final_logit_softcapping", 30.0f);
}

}  // namespace

const Family kGemma2{"gemma2", "Gemma 2", configure, load_gemma_layer};

}  // namespace fathom::model
