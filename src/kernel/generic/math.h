// Elementary functions of vectors. Relative errors are those of the tests: 2e-7 for exp2 and exp.
#pragma once

#include "kernel/generic/inline.h"

namespace fathom::kernel {

// 2^x; exactly 1 at 0; 0 below -126 and for -inf; x <= 127. The polynomial is the Taylor series of
// 2^r on [-1/2, 1/2] to degree 6: its remainder is below 1.2e-7.
template <class V>
FATHOM_INLINE typename V::F exp2(typename V::F x) {
  using F = typename V::F;
  x = V::max(x, V::set1(-150.0f));
  const F n = V::round(x);
  const F r = V::sub(x, n);
  F p = V::set1(1.5403530e-4f);
  p = V::fma(p, r, V::set1(1.3333558e-3f));
  p = V::fma(p, r, V::set1(9.6181291e-3f));
  p = V::fma(p, r, V::set1(5.5504109e-2f));
  p = V::fma(p, r, V::set1(2.4022651e-1f));
  p = V::fma(p, r, V::set1(6.9314718e-1f));
  p = V::fma(p, r, V::set1(1.0f));
  return V::scale2(p, n);
}

// e^x for |x| < 88: the product with log2(e) is split so that its rounding does not grow with x.
template <class V>
FATHOM_INLINE typename V::F exp(typename V::F x) {
  using F = typename V::F;
  x = V::min(V::max(x, V::set1(-104.0f)), V::set1(88.0f));
  const F n = V::round(V::mul(x, V::set1(1.44269504f)));
  F r = V::fma(n, V::set1(-0.693145751953125f), x);
  r = V::fma(n, V::set1(-1.428606765330187e-06f), r);
  F p = V::set1(1.9875691e-4f);
  p = V::fma(p, r, V::set1(1.3981999e-3f));
  p = V::fma(p, r, V::set1(8.3334519e-3f));
  p = V::fma(p, r, V::set1(4.1665795e-2f));
  p = V::fma(p, r, V::set1(1.6666665e-1f));
  p = V::fma(p, r, V::set1(5.0000001e-1f));
  p = V::fma(V::mul(p, r), r, V::add(r, V::set1(1.0f)));
  return V::scale2(p, n);
}

// tanh(x) = 1 - 2 / (e^2x + 1), and x - x^3/3 near 0 where that would cancel.
template <class V>
FATHOM_INLINE typename V::F tanh(typename V::F x) {
  using F = typename V::F;
  const F e = kernel::exp<V>(V::add(x, x));
  const F large = V::sub(V::set1(1.0f), V::div(V::set1(2.0f), V::add(e, V::set1(1.0f))));
  const F x2 = V::mul(x, x);
  const F small = V::fma(V::mul(V::mul(x2, V::set1(-1.0f / 3.0f)), x), V::set1(1.0f), x);
  return V::select_less(V::abs(x), 0.02f, small, large);
}

}  // namespace fathom::kernel
