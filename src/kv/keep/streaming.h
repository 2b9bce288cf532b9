// StreamingLLM: the first tokens, on which attention rests when nothing else fits, and a window.
//
// Xiao et al., "Efficient Streaming Language Models with Attention Sinks", 2023, arXiv:2309.17453.
// Checked against the authors' cache: the kept tokens are equal at every step. Theirs gives tokens
// the positions of their cache slots; here they keep their own, so texts beyond the length that the
// model was trained for are no safer than without it.
#pragma once

#include <memory>

#include "kv/keep/keep_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo streaming_info();
std::unique_ptr<const KeepPolicy> make_streaming(const Parameters& p);

}  // namespace fathom::kv
