// The plain formats: f32 for tests and judging others, f16, and bf16. No paper; a number is stored
// as the nearest one of its format. f16 saturates at 65504 instead of overflowing.
#pragma once

#include <memory>

#include "kv/store/codec.h"

namespace fathom::kv {

std::unique_ptr<const StoreCodec> make_plain_codec(kernel::KvFormat format);

}  // namespace fathom::kv
