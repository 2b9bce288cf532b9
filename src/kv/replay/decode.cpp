// The decode steps: each query over the keys that KEEP and FETCH left it.
#include <algorithm>
#include <cmath>

#include "kv/replay/attend_lists.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

// `view` with other keys for its first tokens, held by `memory`.
HeadView with_sinks(HeadView view, const std::vector<float>& sinks, std::vector<float>& memory) {
  if (sinks.empty()) return view;
  memory.assign(view.k, view.k + view.tokens * view.head_dim);
  std::copy(sinks.begin(), sinks.end(), memory.begin());
  view.k = memory.data();
  return view;
}

// Joins a token that stands for others to what was attended to; returns the new log of the sum.
double join_extra(const HeadView& view, const ExtraToken& extra, const float* q, double lse,
                  float* out) {
  if (extra.count == 0) return lse;
  double product = 0;
  for (size_t c = 0; c < view.head_dim; ++c) product += double{q[c]} * extra.k[c];
  const double score = capped(view, product * view.scale) + std::log(extra.count);
  const double most = std::max(lse, score);
  const double both = most + std::log(std::exp(lse - most) + std::exp(score - most));
  const double old = std::exp(lse - both), fresh = std::exp(score - both);
  for (size_t c = 0; c < view.head_dim; ++c) {
    out[c] = static_cast<float>(old * out[c] + fresh * extra.v[c]);
  }
  return both;
}

}  // namespace

void replay_decode(Replay& replay) {
  const Recording& r = replay.recording;
  replay.pool.run(replay.readable.size(), [&](size_t i, int) {
    const size_t step = i / r.heads(), head = i % r.heads(), kv_head = head / r.group();
    const size_t token = r.prompt() + step, row = token * r.heads() + head;
    const QueryView query = r.queries(kv_head, token, 1);
    const float* q = query.row(0, head % r.group(), r.head_dim());
    const Replay::StepHead& kept = replay.step_heads[step * r.kv_heads() + kv_head];
    std::vector<float> keys;
    const HeadView view = with_sinks(replay.head(kv_head, token + 1), kept.sinks, keys);
    float* out = replay.out.data() + row * r.head_dim();
    const double lse = attend_keys(view, q, replay.readable[i], out);
    replay.lse[row] = static_cast<float>(join_extra(view, kept.extra, q, lse, out));
  });
  double read = 0, there = 0;
  for (size_t i = 0; i < replay.readable.size(); ++i) {
    const size_t kv_head = i % r.heads() / r.group();
    const ExtraToken& extra = replay.step_heads[i / r.heads() * r.kv_heads() + kv_head].extra;
    read += static_cast<double>(replay.readable[i].size() + (extra.count > 0 ? 1 : 0));
    const size_t token = r.prompt() + i / r.heads();
    there += static_cast<double>(token + 1 - r.first_seen(token));
  }
  if (there > 0) replay.numbers["decode_keys_read"] = read / there;
}

}  // namespace fathom::kv
