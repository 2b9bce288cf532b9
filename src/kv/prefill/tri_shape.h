// Tri-shape: A-shape, but the last queries of the prompt read everything.
//
// From MInference's library and SCBench (arXiv:2412.10319); TriangleMix (arXiv:2507.21526) keeps
// the first layers dense, which `dense_layers` does. The dense rows are whole blocks of 64: at
// least the last `last` queries. Where the length of the prompt is not known, the end of each chunk
// counts as its end.
#pragma once

#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

const MethodInfo& tri_shape_info();
std::unique_ptr<const PrefillPolicy> make_tri_shape(const Parameters& parameters);

}  // namespace fathom::kv
