#include "kernel/activations.h"

namespace fathom::kernel {

ActForm act_form(TensorType type) {
  switch (type) {
    case TensorType::kF32:
    case TensorType::kF16:
      return ActForm::kFloat;
    case TensorType::kBF16:
      return ActForm::kBFloat;
    default:
      return ActForm::kInt8;
  }
}

Activations ActivationBuffer::view(const float* x, size_t tokens, size_t k) {
  codes_.ensure(tokens * k);
  scales_.ensure(tokens * (k / kActBlock + 1));
  sums_.ensure(tokens * (k / 16 + 1));
  bf16_.ensure(tokens * k);
  return {tokens, k, x, codes_.data(), scales_.data(), sums_.data(), bf16_.data()};
}

}  // namespace fathom::kernel
