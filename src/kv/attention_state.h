// Memory for what attention kernels leave of some rows: (max, sum, out), see kernel/attention.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "kernel/attention.h"

namespace fathom::kv {

inline size_t state_floats(size_t rows, size_t head_dim) {
  return rows * (kernel::padded_head_dim(head_dim) + 2);
}

// The state of `rows` rows in state_floats() floats.
inline kernel::AttendState state_at(float* memory, size_t rows) {
  return {memory, memory + rows, memory + 2 * rows};
}

// As if nothing had been seen.
inline void clear(const kernel::AttendState& state, size_t rows, size_t head_dim) {
  std::fill_n(state.max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, rows, 0.0f);
  std::fill_n(state.out, rows * kernel::padded_head_dim(head_dim), 0.0f);
}

}  // namespace fathom::kv
