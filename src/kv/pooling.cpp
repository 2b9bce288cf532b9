#include "kv/pooling.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace fathom::kv {

void pool(Pooling pooling, size_t kernel, std::span<float> scores) {
  FATHOM_CHECK(kernel % 2 == 1);
  const size_t n = scores.size();
  if (pooling == Pooling::kNone || kernel == 1 || n == 0) return;
  const size_t half = kernel / 2;
  const bool max = pooling == Pooling::kMax;
  std::vector<float> padded(n + 2 * half);
  std::copy(scores.begin(), scores.end(), padded.begin() + half);
  if (max) {  // a copy of the nearest score changes no maximum
    std::fill_n(padded.begin(), half, scores.front());
    std::fill_n(padded.end() - half, half, scores.back());
  }
  std::copy_n(padded.begin(), n, scores.begin());
  for (size_t j = 1; j < kernel; ++j) {
    const float* shifted = padded.data() + j;
    for (size_t i = 0; i < n; ++i) {
      scores[i] = max ? std::max(scores[i], shifted[i]) : scores[i] + shifted[i];
    }
  }
  if (max) return;
  for (float& s : scores) s /= static_cast<float>(kernel);
}

}  // namespace fathom::kv
