// A-shape: every query reads the first keys and its own neighbourhood, whatever they hold.
//
// StreamingLLM's mask (arXiv:2309.17453) used while reading a prompt, as MInference's library has
// it; all keys and values are cached and positions stay as they are. Exact to the token: key j is
// seen by query i if j < sinks or i - j < window.
#pragma once

#include <memory>

#include "kv/method.h"
#include "kv/prefill/prefill_policy.h"

namespace fathom::kv {

const MethodInfo& a_shape_info();
std::unique_ptr<const PrefillPolicy> make_a_shape(const Parameters& parameters);

}  // namespace fathom::kv
