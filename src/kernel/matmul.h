// y = x W^T for packed weights (matrix.h) and prepared activations (activations.h).
//
// One call computes some tiles of rows for some tokens; the caller splits the work over threads by
// tiles. Contract:
//   y[token * y_stride + row] for row in the tiles (rows beyond weights->rows() are not written)
//   x->k == weights->columns(); the form act_form(weights->type()) of x is filled
//   scratch: matmul_scratch_bytes(columns) bytes, 64-byte aligned, this thread's own
// Every output is one float chain over blocks of ascending k, in the same operations whatever the
// number of tokens and tiles in the call: results are bit-identical for any batch and any split.
//
// Two paths, chosen by the number of tokens: few tokens read the packed codes directly; many
// tokens expand a tile to bytes once and multiply it with all of them (the two-path design of
// ik_llama.cpp's iqk_mul_mat).
#pragma once

#include <cstddef>

#include "base/tensor_type.h"
#include "kernel/activations.h"
#include "kernel/matrix.h"

namespace fathom::kernel {

struct MatmulArgs {
  const Matrix* weights = nullptr;
  size_t tile_begin = 0, tile_end = 0;
  const Activations* x = nullptr;
  size_t token_begin = 0, token_end = 0;
  float* y = nullptr;
  size_t y_stride = 0;
  std::byte* scratch = nullptr;
};

using MatmulFn = void (*)(const MatmulArgs&);

// Columns of one expansion; longer rows are multiplied piece by piece, continuing the chain.
inline constexpr size_t kExpandColumns = 4096;
// Rows of one expansion.
inline constexpr size_t kExpandRows = 8 * kTileRows;

// Codes, scales and minimums of one expansion, and one row of floats for the scalar kernel.
// Tokens that one pass over an expansion multiplies at most, on any instruction set.
inline constexpr size_t kMaxBatch = 8;

// Codes, scales, minimums and per-batch corrections of one expansion; for the scalar kernel, one
// row of weights.
inline size_t matmul_scratch_bytes(size_t columns) {
  constexpr size_t kExpansion = kExpandRows * (kExpandColumns + kExpandColumns / 2) +
                                kMaxBatch * 3 * sizeof(float) * (kExpandColumns / 16);
  const size_t scalar = columns * 2 * sizeof(double);
  return (kExpansion > scalar ? kExpansion : scalar) + 4096;
}

}  // namespace fathom::kernel
