// The basis in which a store keeps a head's channels, where it is not the model's: spread over all
// channels by a Hadamard matrix, so that none sticks out, or in another order.
//
// A frame is orthonormal: a query taken into the keys' frame has the same products with the stored
// keys as before, and a weighted sum of stored values, taken out of theirs, is that of the values.
// So attention works on what is stored; only new rows, queries and outputs are moved. Everybody
// else, policies included, sees the model's channels.
//
// Immutable and safe to use from any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace fathom::kv {

struct HeadId {
  size_t layer = 0, kv_head = 0;
};

class Frame {
 public:
  virtual ~Frame() = default;
  // Moves a row of head_dim floats from the model's channels to the store's.
  virtual void enter(HeadId head, float* row, size_t head_dim) const = 0;
  virtual void leave(HeadId head, float* row, size_t head_dim) const = 0;
};

// Walsh-Hadamard in Sylvester's order, of the largest power of two that divides head_dim, scaled to
// be orthonormal: its own inverse. head_dim * log2(head_dim) additions.
std::shared_ptr<const Frame> hadamard_frame();

// How large the channels of keys are, [layers][kv_heads][head_dim].
struct KeyNorms {
  size_t kv_heads = 0, head_dim = 0;
  std::vector<float> norms;
};
// Each head's channels by ascending norm, equal ones in their old order.
std::shared_ptr<const Frame> sorted_frame(const KeyNorms& norms);

}  // namespace fathom::kv
