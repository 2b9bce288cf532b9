// Codes for keys and values apart: kernel/page_code.h has the formats and where they come from.
//
// Pages are filled in a plain format and coded when they are full and `tail` tokens behind the end:
// what was read last stays in full precision. A format whose keys and values are plain codes
// nothing.
#pragma once

#include <memory>

#include "kv/store/codec.h"
#include "kv/store/page_chooser.h"

namespace fathom::kv {

struct CodedFormat {
  std::string name;                    // as it would be typed
  kernel::KvFormat keys, values;       // of full pages: coded, or equal to `plain`
  kernel::KvFormat plain;              // of pages that are being filled
  size_t tail = 0;                     // tokens
  float key_clip = 1, value_clip = 1;  // share of a group's range that codes cover: kT4, kT2
  std::shared_ptr<const Frame> key_frame = {}, value_frame = {};  // null: the model's
  bool sort_keys = false;                           // by the model's norms, which bound() brings
  std::shared_ptr<const PageChooser> chooser = {};  // then keys and values are plain
};

// The keys of one format and the values of another: "keys/values". The longer tail counts. Throws
// Error(kUsage) where both are plain and differ, as a page that is being filled has one plain
// format, and for a store that chooses codecs for whole pages.
CodedFormat join_sides(const CodedFormat& keys, const CodedFormat& values);

std::unique_ptr<const StoreCodec> make_coded_codec(const CodedFormat& format);

}  // namespace fathom::kv
