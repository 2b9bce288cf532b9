// The matrix product by definition: rows dequantised by block_formats, activations as they are
// quantised, sums in double.
#include <algorithm>
#include <span>

#include "kernel/scalar/tables.h"

namespace fathom::kernel {
namespace {

void activation_row(const Activations& x, ActForm form, size_t token, double* out) {
  for (size_t i = 0; i < x.k; ++i) {
    const size_t at = token * x.k + i;
    switch (form) {
      case ActForm::kFloat:
        out[i] = x.x[at];
        break;
      case ActForm::kBFloat:
        out[i] = to_float(x.bf16[at]);
        break;
      case ActForm::kInt8:
        out[i] = double{x.scales[token * (x.k / kActBlock) + i / kActBlock]} * x.codes[at];
        break;
    }
  }
}

void multiply(const MatmulArgs& a) {
  const Matrix& w = *a.weights;
  const size_t k = a.x->k;
  const ActForm form = act_form(w.type());
  double* activations = reinterpret_cast<double*>(a.scratch);
  float* weights = reinterpret_cast<float*>(activations + k);
  std::byte* packed = reinterpret_cast<std::byte*>(weights + k);
  const size_t end = std::min(w.rows(), a.tile_end * kTileRows);
  for (size_t token = a.token_begin; token < a.token_end; ++token) {
    activation_row(*a.x, form, token, activations);
    for (size_t row = a.tile_begin * kTileRows; row < end; ++row) {
      w.dequantize_row(row, {weights, k}, {packed, w.row_bytes()});
      double sum = 0;
      for (size_t i = 0; i < k; ++i) sum += weights[i] * activations[i];
      a.y[token * a.y_stride + row] = static_cast<float>(sum);
    }
  }
}

}  // namespace

MatmulFn scalar_matmul(TensorType) { return multiply; }

}  // namespace fathom::kernel
