// StreamingLLM: the first tokens, on which attention rests when nothing else fits, and a window.
//
// Xiao et al., "Efficient Streaming Language Models with Attention Sinks", 2023, arXiv:2309.17453.
// Checked against the authors' cache: the kept tokens are equal at every step.
//
// Theirs gives every token the position of its cache slot. Within the window that changes nothing,
// only differences of positions matter; so positions=slots turns the keys of the first tokens on by
// as many positions as were dropped, whenever tokens are dropped, and leaves the window alone: the
// scores are the authors'. No difference of positions then exceeds what is kept, however long the
// text. With positions=text the first tokens stay where they were.
#pragma once

#include <memory>

#include "kv/keep/keep_policy.h"
#include "kv/method.h"

namespace fathom::kv {

MethodInfo streaming_info();
std::unique_ptr<const KeepPolicy> make_streaming(const Parameters& p);

}  // namespace fathom::kv
