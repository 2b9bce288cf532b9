// What Gemma 2 and 3 share.
#pragma once

#include "model/family.h"

namespace fathom::model {

// Embeddings scaled by sqrt(dim), GELU, the scale of scores.
void configure_gemma(const KeyReader& keys, Config& config);
// The common layer with norms after attention and after the feed-forward part.
LayerWeights load_gemma_layer(WeightLoader& loader, const Config& config,
                              const std::string& prefix);

}  // namespace fathom::model
