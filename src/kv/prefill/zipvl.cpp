#include "kv/prefill/zipvl.h"

#include <algorithm>

#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr size_t kFirst = 4;  // tokens that are always read

// Indices of the probes, ascending: the last queries of the chunk, and as many spread over it.
std::vector<size_t> probe_indices(const PrefillView& view, size_t probes) {
  const size_t n = view.queries.tokens, first = view.first();
  std::vector<size_t> out;
  for (size_t i = 0; i < probes; ++i) out.push_back(first + i * n / probes);
  for (size_t i = n - std::min(n, probes); i < n; ++i) out.push_back(first + i);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// Adds the probe's attention, the mean over the group's heads.
void add_attention(const PrefillView& view, size_t index, std::vector<float>& scores,
                   std::span<double> sums) {
  const HeadView& head = view.head;
  const size_t d = head.head_dim, group = view.queries.group, n = index + 1;
  scores.resize(group * head.tokens);
  head_scores(head, {query_at(view, 0, index), d, group, head.k, d, n, d, head.scale, scores.data(),
                     head.tokens});
  for (size_t h = 0; h < group; ++h) {
    float* row = scores.data() + h * head.tokens;
    attention_weights(head, index, {row, n});
    for (size_t t = 0; t < n; ++t) sums[t] += double{row[t]} / double(group);
  }
}

// The fewest of the largest sums that reach `share` of all.
size_t count_for(std::span<const double> sums, double share) {
  const std::vector<float> values(sums.begin(), sums.end());
  double total = 0, sum = 0;
  for (const double s : sums) total += s;
  size_t count = 0;
  for (const int32_t i : ranking(values)) {
    if (share < 1 && sum >= share * total) break;
    sum += sums[static_cast<size_t>(i)];
    ++count;
  }
  return count;
}

class ZipVL final : public PrefillPolicy {
 public:
  explicit ZipVL(const ZipVLArgs& args) : args_(args) {}
  size_t query_block() const override { return kPieceTokens; }

  void select(const PrefillView& view, std::span<RowList> lists) const override {
    const ChunkBlocks blocks(view, kPieceTokens);
    const std::vector<int32_t> tokens = zipvl_tokens(view, args_);
    RowDraft draft(view.head.tokens);
    for (size_t b = 0; b < blocks.count(); ++b) {
      draft.clear();
      draft.add_tokens(tokens);
      draft.add_block(blocks.number(b), kPieceTokens);
      draft.write(blocks.end(b), lists[b]);
      for (size_t h = 1; h < view.queries.group; ++h) lists[h * blocks.count() + b] = lists[b];
    }
  }

 private:
  ZipVLArgs args_;
};

constexpr ParameterInfo kParameters[] = {
    {"tau", "0.975", "", 0, 1, "share of the attention that the chosen tokens hold"},
    {"probes", "64", "", 1, 4096, "last queries that are asked, and as many spread ones"},
};

}  // namespace

std::vector<int32_t> zipvl_tokens(const PrefillView& view, const ZipVLArgs& args) {
  const size_t n = view.head.tokens;
  const std::vector<size_t> probes = probe_indices(view, args.probes);
  std::vector<double> sums(n);
  std::vector<float> scores, means(n);
  for (const size_t index : probes) add_attention(view, index, scores, sums);
  for (size_t t = 0, first = 0, end = 0; t < n; ++t) {  // probes [first, end) see it
    while (first < probes.size() && probes[first] < t) ++first;
    while (end < probes.size() && tokens_behind(view.head, probes[end]) <= t) ++end;
    means[t] = static_cast<float>(sums[t] / double(end > first ? end - first : 1));
  }
  std::vector<int32_t> tokens = top_k(means, count_for(sums, args.tau));
  for (size_t t = 0; t < std::min(kFirst, n); ++t) tokens.push_back(static_cast<int32_t>(t));
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

const MethodInfo& zipvl_info() {
  static const MethodInfo info{
      .name = "zipvl",
      .summary = "tokens that hold a share of the probes' attention, as many as each layer needs",
      .paper =
          "ZipVL: Efficient Large Vision-Language Models with Dynamic Token Sparsification, 2024, "
          "arXiv:2410.08584",
      .needs = "unchecked: no code of the authors was found",
      .cost = "2 probes N head_dim operations a query head and a sort of N numbers a kv head",
      .parameters = kParameters,
      .exact = "tau=1",
  };
  return info;
}

std::unique_ptr<const PrefillPolicy> make_zipvl(const Parameters& p) {
  return std::make_unique<ZipVL>(ZipVLArgs{p.number("tau"), p.count("probes")});
}

}  // namespace fathom::kv
