// What is known of a sequence's tokens as text, where a policy asks for it; it travels with the
// sequence's cache. The engine fills it, see engine/text_reader.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// Where a policy chose which tokens of a prompt the model reads. They are at positions 0 and
// following; what was read behind them follows without a gap.
struct ChosenText {
  std::vector<int32_t> places;  // of these tokens in the text, ascending; empty: all were read
  size_t of = 0;                // tokens of the text they were chosen from
  size_t layers = 0;            // that read all of it
};

struct KnownText {
  std::vector<float> surprise;         // by position; 0 for the first token
  std::vector<float> next;             // logits of what follows the last token; empty: not known
  std::vector<int32_t> sentence_ends;  // that are certain, see TextView
  // The text after the last of these: its first token's position, its bytes, and where each of its
  // tokens ends in them.
  int32_t open_begin = 0;
  std::string open;
  std::vector<size_t> open_ends;
  ChosenText chosen;

  TextView view() const { return {surprise, sentence_ends}; }
};

}  // namespace fathom::kv
