// LongHeads: every query head reads the first chunk, the last one, and those chunks whose
// representations fit it best.
//
// Lu et al., "LongHeads: Multi-Head Attention is Secretly a Long Context Processor", 2024,
// arXiv:2402.10685. Unchecked against the authors' outputs; after their code as described. They
// place the chosen chunks side by side; here keys keep their positions, so the method saves time
// but does not reach beyond the length that the model was trained for.
#pragma once

#include "kv/fetch/fetch_policy.h"
#include "kv/method.h"

namespace fathom::kv {

// What stands for a chunk of `rows` keys in one query head: the chunk's own queries attend to all
// of it, the mean of their outputs attends to it once more, and the weights of that average the
// keys, which are rotated as if the chunk began at position 0. [head_dim]. All arrays are
// [rows][head_dim]; 2 * rows^2 * head_dim multiply-adds.
struct Chunk {
  size_t rows = 0, head_dim = 0;
  const float* q = nullptr;
  const float* k = nullptr;  // rotated as q is
  const float* v = nullptr;
  const float* k_local = nullptr;  // rotated by 0 ... rows - 1
  float scale = 1.0f;
};
std::vector<float> chunk_representation(const Chunk& chunk);

MethodInfo longheads_info();
std::unique_ptr<const FetchPolicy> make_longheads(const Parameters& p);

}  // namespace fathom::kv
