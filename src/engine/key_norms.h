// How large a model's key channels are, told by its weights: what a store may order them by.
#pragma once

#include "base/thread_pool.h"
#include "kv/store/frame.h"
#include "model/model.h"

namespace fathom::engine {

// norm[c]^2 = sum of (w[c][i] * gain[i])^2 over the inputs, plus the bias squared: the mean square
// of the channel before rotation, were its inputs independent and of unit size.
kv::KeyNorms key_norms(const model::Model& model, ThreadPool& pool);

}  // namespace fathom::engine
