// Products of many queries with many keys, and softmax over a row of them: what policies need to
// decide which keys are worth reading.
#pragma once

#include <cstddef>

#include "base/half.h"

namespace fathom::kernel {

// out[r][c] = scale * (a[r] . b[c]) for r < rows, c < columns. Rows of a and b are `inner` numbers,
// their starts `a_stride` and `b_stride` numbers apart; sums are f32, and the same bits whatever
// else is in the call. `b` is read once for all rows, so hand over as many rows as stay in the
// second-level cache.
template <class A, class B = float>
struct ScoreArgsOf {
  const A* a = nullptr;
  size_t a_stride = 0, rows = 0;
  const B* b = nullptr;
  size_t b_stride = 0, columns = 0;
  size_t inner = 0;
  float scale = 1.0f;
  float* out = nullptr;
  size_t out_stride = 0;
};
using ScoreArgs = ScoreArgsOf<float>;
// The same product of numbers rounded to BF16: `a` comes rounded, `b` is rounded on its way. Rows
// of a begin at even places and are padded with 0 to a multiple of 32 numbers, as is `inner` then:
// a_stride >= round_up(inner, 32).
using RoundedScoreArgs = ScoreArgsOf<BFloat>;

// The first product again, of keys that are numbers of 16 bits: the same bits as of their floats.
// `inner` is a multiple of 16.
using BFloatScoreArgs = ScoreArgsOf<float, BFloat>;
using HalfScoreArgs = ScoreArgsOf<float, Half>;

struct ScoreKernels {
  void (*scores)(const ScoreArgs&);
  void (*bfloat_scores)(const BFloatScoreArgs&);
  void (*half_scores)(const HalfScoreArgs&);
  // Where the machine multiplies BF16 faster; else null.
  void (*rounded_scores)(const RoundedScoreArgs&);
  // x = e^x / sum e^x, in place. Numbers may be -inf, but not all of them.
  void (*softmax)(float* x, size_t n);
  float (*row_max)(const float* x, size_t n);  // -inf for an empty row
};

}  // namespace fathom::kernel
