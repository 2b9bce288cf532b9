#include "kv/prefill/probe.h"

#include <algorithm>

#include "kernel/kernels.h"
#include "kv/attention_rows.h"
#include "kv/prefill/selection.h"

namespace fathom::kv {
namespace {

constexpr size_t kTileRows = 32;  // rows of scores held at once

}  // namespace

ProbeSums probe_sums(const PrefillView& view, size_t group_head, size_t probes) {
  const kernel::Kernels& kernels = kernel::default_kernels();
  const HeadView& head = view.head;
  const size_t n = head.tokens;
  ProbeSums sums;
  sums.probes = std::min(probes, view.queries.tokens);
  sums.columns.resize(n);
  std::vector<float> backwards(n);         // by distance, the farthest first: adds up without gaps
  thread_local std::vector<float> scores;  // kept: so large a block is cleared by the system anew
  scores.resize(std::max(scores.size(), kTileRows * n));
  for (size_t done = 0; done < sums.probes; done += kTileRows) {
    const size_t rows = std::min(kTileRows, sums.probes - done);
    const size_t index = n - sums.probes + done;  // of the tile's first query
    head_scores(head, {query_at(view, group_head, index), view.queries.stride, rows, head.k,
                       head.head_dim, index + rows, head.head_dim, head.scale, scores.data(), n});
    for (size_t r = 0; r < rows; ++r) {
      const size_t visible = index + r + 1;
      float* row = scores.data() + r * n;
      float* diagonal = backwards.data() + (n - visible);
      attention_weights(head, index + r, {row, visible});
      kernels.elementwise.add(sums.columns.data(), row, visible, sums.columns.data());
      kernels.elementwise.add(diagonal, row, visible, diagonal);
    }
  }
  sums.offsets.assign(backwards.rbegin(), backwards.rend());
  return sums;
}

}  // namespace fathom::kv
