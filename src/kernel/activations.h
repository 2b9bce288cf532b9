// The inputs of a matrix product: one row of `k` floats a token, and the forms that kernels read.
//
// Integer weight formats read int8 codes in blocks of 32, symmetric: x[i] ~ code * scale, code in
// [-127, 127], scale f32; with sums of the codes over each 16, so that unsigned weight codes can be
// corrected for their offset: sum (u - z) a = sum u a - z sum a. BF16 weights read BF16 inputs.
// Every batch size uses the same form, so results do not depend on the batch.
//
// Plain views with an owner beside them; not thread-safe to resize, rows may be filled in parallel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/half.h"
#include "base/tensor_type.h"

namespace fathom::kernel {

inline constexpr size_t kActBlock = 32;

enum class ActForm : uint8_t { kFloat, kInt8, kBFloat };

// The form that weights of this type multiply.
ActForm act_form(TensorType type);

struct Activations {
  size_t tokens = 0;
  size_t k = 0;
  const float* x = nullptr;  // [token][k]
  int8_t* codes = nullptr;   // [token][k]
  float* scales = nullptr;   // [token][k / 32]
  int32_t* sums = nullptr;   // [token][k / 16]
  BFloat* bf16 = nullptr;    // [token][k]
};

// Memory for the derived forms, reused from call to call.
class ActivationBuffer {
 public:
  // Views over `tokens` rows of x with room for the derived forms. They stay valid until the next
  // call; grows its memory only where it never was that large.
  Activations view(const float* x, size_t tokens, size_t k);

 private:
  Buffer<int8_t> codes_;
  Buffer<float> scales_;
  Buffer<int32_t> sums_;
  Buffer<BFloat> bf16_;
};

}  // namespace fathom::kernel
