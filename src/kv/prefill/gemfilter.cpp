#include "kv/prefill/gemfilter.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr size_t kPool = 5;

constexpr ParameterInfo kParameters[] = {
    {"budget", "1024", "", 1, 1 << 24, "tokens of a prompt that the model reads with all layers"},
    {"layer", "-1", "", -1, 1 << 16,
     "whose last query chooses them, from 0; -1: at two fifths of the depth"},
    {"first", "4", "", 0, 1 << 24, "tokens that are always among them; the paper has none"},
    {"last", "64", "", 0, 1 << 24, "the same at the prompt's end"},
    {"reader", "dense", "dense|a_shape|tri_shape|xattention|minference|flexprefill|anchor|hip", 0,
     0, "method of both readings, with its defaults"},
};

}  // namespace

const MethodInfo& gemfilter_info() {
  static const MethodInfo info{
      .name = "gemfilter",
      .summary = "the first layers choose tokens of the prompt, and the model reads only these",
      .paper =
          "Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input "
          "Token Reduction, 2024, arXiv:2409.17422",
      .needs = "the question in the prompt: every new turn reads the whole text again",
      .cost = "reading the prompt with the layers up to `layer`, then `budget` tokens with all",
      .parameters = kParameters,
      .exact = "budget=16777216",
  };
  return info;
}

GemFilter make_gemfilter(const Parameters& p) {
  GemFilter filter;
  filter.budget = p.count("budget");
  if (p.number("layer") >= 0) filter.layer = p.count("layer");
  filter.first = p.count("first");
  filter.last = p.count("last");
  return filter;
}

void add_gemfilter_products(const HeadView& head, const QueryView& queries,
                            std::span<double> sums) {
  FATHOM_CHECK(head.tokens == sums.size() && queries.tokens > 0);
  const size_t d = head.head_dim, n = head.tokens;
  std::vector<float> products(queries.group * n);
  score_kernels().scores({queries.row(queries.tokens - 1, 0, d), d, queries.group, head.k, d, n, d,
                          1.0f, products.data(), n});
  for (size_t g = 0; g < queries.group; ++g) {
    for (size_t t = 0; t < n; ++t) sums[t] += products[g * n + t];
  }
}

std::vector<float> gemfilter_scores(std::span<const double> x) {
  std::vector<float> out(x.size());
  constexpr size_t kSide = kPool / 2;
  for (size_t i = 0; i < x.size(); ++i) {
    double sum = 0;
    for (size_t j = i < kSide ? 0 : i - kSide; j <= i + kSide && j < x.size(); ++j) sum += x[j];
    out[i] = static_cast<float>(sum / kPool);
  }
  return out;
}

std::vector<int32_t> gemfilter_tokens(std::span<const float> scores, const GemFilter& filter) {
  const size_t n = scores.size(), last = std::min(filter.last, n);
  const size_t first = std::min(filter.first, n - last);
  std::vector<float> ranked(scores.begin(), scores.end());
  const auto force = [&](size_t begin, size_t end) {
    std::fill(ranked.begin() + static_cast<std::ptrdiff_t>(begin),
              ranked.begin() + static_cast<std::ptrdiff_t>(end),
              std::numeric_limits<float>::infinity());
  };
  force(0, first);
  force(n - last, n);
  return top_k(ranked, std::max(filter.budget, first + last));
}

}  // namespace fathom::kv
