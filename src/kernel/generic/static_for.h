// Loops whose index is a compile-time constant, and a run-time count made one.
#pragma once

#include <cstddef>
#include <utility>

#include "kernel/generic/inline.h"

namespace fathom::kernel {

// fn.template operator()<i>() for i in [0, N).
template <size_t N, class Fn>
FATHOM_INLINE void static_for(Fn&& fn) {
  [&]<size_t... i>(std::index_sequence<i...>) FATHOM_LAMBDA_INLINE {
    (fn.template operator()<i>(), ...);
  }
  (std::make_index_sequence<N>{});
}

// fn.template operator()<C>() with C = min(n, kMax). REQUIRES: n >= 1.
template <int kMax, class Fn>
FATHOM_INLINE void dispatch(size_t n, Fn&& fn) {
  if constexpr (kMax > 1) {
    if (n < static_cast<size_t>(kMax)) return dispatch<kMax - 1>(n, fn);
  }
  fn.template operator()<kMax>();
}

}  // namespace fathom::kernel
