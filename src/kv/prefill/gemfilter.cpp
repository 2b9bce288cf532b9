#include "kv/prefill/gemfilter.h"

#include "base/error.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr size_t kPool = 5;

// Mean of the kPool values around each, zeros beyond the ends counting.
std::vector<float> pooled(const std::vector<double>& x) {
  std::vector<float> out(x.size());
  constexpr size_t kSide = kPool / 2;
  for (size_t i = 0; i < x.size(); ++i) {
    double sum = 0;
    for (size_t j = i < kSide ? 0 : i - kSide; j <= i + kSide && j < x.size(); ++j) sum += x[j];
    out[i] = static_cast<float>(sum / kPool);
  }
  return out;
}

}  // namespace

std::vector<float> gemfilter_scores(std::span<const HeadView> heads,
                                    std::span<const QueryView> queries) {
  FATHOM_CHECK(!heads.empty() && heads.size() == queries.size());
  const size_t n = heads[0].tokens;
  std::vector<double> sums(n);
  std::vector<float> products;
  for (size_t h = 0; h < heads.size(); ++h) {
    const size_t d = heads[h].head_dim, group = queries[h].group;
    FATHOM_CHECK(heads[h].tokens == n && queries[h].tokens > 0);
    products.resize(group * n);
    score_kernels().scores({queries[h].row(queries[h].tokens - 1, 0, d), d, group, heads[h].k, d, n,
                            d, 1.0f, products.data(), n});
    for (size_t g = 0; g < group; ++g) {
      for (size_t t = 0; t < n; ++t) sums[t] += products[g * n + t];
    }
  }
  return pooled(sums);
}

std::vector<int32_t> gemfilter_tokens(std::span<const float> scores, size_t k) {
  TopK ranking;
  return ranking.top(scores, k);
}

}  // namespace fathom::kv
