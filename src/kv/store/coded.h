// Integer codes for keys and values apart: q8 (Q8_0's blocks), k4v4 and k2v2 (KIVI,
// arXiv:2402.02750: keys in groups of 32 tokens of a channel, values in groups of 32 channels of a
// token, asymmetric), and their mixtures. Layouts: kernel/page_code.h.
//
// Pages are filled in a plain format and coded when they are full and `tail` tokens behind the end:
// what was read last stays in full precision. A format whose keys and values are plain codes
// nothing.
#pragma once

#include <memory>

#include "kv/store/codec.h"

namespace fathom::kv {

struct CodedFormat {
  std::string name;               // as it would be typed
  kernel::KvFormat keys, values;  // of full pages: coded, or equal to `plain`
  kernel::KvFormat plain;         // of pages that are being filled
  size_t tail = 0;                // tokens
};

// The keys of one format and the values of another: "keys/values". The longer tail counts. Throws
// Error(kUsage) where both are plain and differ: a page that is being filled has one plain format.
CodedFormat join_sides(const CodedFormat& keys, const CodedFormat& values);

std::unique_ptr<const StoreCodec> make_coded_codec(const CodedFormat& format);

}  // namespace fathom::kv
