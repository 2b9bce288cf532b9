// Completes a parsed template: gives every name a slot in a frame, and every filter and test its
// implementation.
//
// Where a name lives follows Jinja's rules, which look at the text and not at what runs: a name
// that a frame sets anywhere is that frame's own from the frame's beginning. It starts out as a
// copy of the outer variable, if an outer frame knows the name, and undefined otherwise, except
// where only some branches of an {% if %} set it: then it starts out as the render's variable.
#pragma once

#include "text/jinja/ast.h"

namespace fathom::text::jinja {

// Throws Error(kBadFile) for unknown filters and tests and for assignments to `loop`. As in Jinja,
// an unknown filter inside a condition fails only when it is reached.
void link(Template& tree, const Source& source);

}  // namespace fathom::text::jinja
