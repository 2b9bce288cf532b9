// Keys and values as a store gives them back.
#pragma once

#include "kv/store/page_chooser.h"

namespace fathom::kv {

struct Replay;

// Rows of one page of a kv head, [tokens][head_dim], at most 64.
struct PageRows {
  HeadId head;
  size_t head_dim = 0, tokens = 0;
  float* k = nullptr;
  float* v = nullptr;
};
// Writes the rows to a plain page of `codec`, has it encoded by page.coder, if there is one, and
// reads them back in place. Returns the bytes of the page that was read.
size_t code_rows(const StoreCodec& codec, const PageChooser::Page& page, const PageRows& rows);

// Adds k_decoded and v_decoded, as the replay's keys and values now are.
void add_decoded(Replay& replay);

}  // namespace fathom::kv
