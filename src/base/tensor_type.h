// The number formats that a model's tensors come in, numbered as GGUF numbers them.
//
// A format stores `block_values` consecutive values of a row in `block_bytes` bytes; rows are whole
// numbers of blocks. The bit layouts are in kernel/block_formats.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace fathom {

enum class TensorType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
};

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;  // as the tools print it: "Q4_K"
  uint32_t block_values;
  uint32_t block_bytes;

  bool quantized() const { return block_values > 1; }
  double bits_per_value() const { return 8.0 * block_bytes / block_values; }
  // Bytes of a row of `values` values. REQUIRES: a whole number of blocks.
  uint64_t row_bytes(uint64_t values) const { return values / block_values * block_bytes; }
};

std::span<const TensorTypeInfo> all_tensor_types();

// nullptr where the number is not one of the above.
const TensorTypeInfo* find_tensor_type(uint32_t ggml_id);
// By name, in any case, as --type takes it; nullptr where there is none.
const TensorTypeInfo* find_tensor_type(std::string_view name);

const TensorTypeInfo& info(TensorType type);

}  // namespace fathom
