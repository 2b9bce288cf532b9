#include "kv/replay/replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "file/safetensors_writer.h"
#include "kv/replay/attend_lists.h"

namespace fathom::kv {
namespace {

using file::ElementType;

file::SafetensorsView view_of(const ReplayTensor& t) {
  if (const auto* floats = std::get_if<std::vector<float>>(&t.values)) {
    return file::safetensors_view(t.name, ElementType::kF32, t.shape,
                                  std::span<const float>(*floats));
  }
  return file::safetensors_view(t.name, ElementType::kI32, t.shape,
                                std::span<const int32_t>(std::get<1>(t.values)));
}

}  // namespace

ReplayTensor padded(std::string name, std::vector<uint64_t> shape,
                    const std::vector<std::vector<int32_t>>& lists) {
  size_t most = 0;
  for (const auto& list : lists) most = std::max(most, list.size());
  std::vector<int32_t> values(lists.size() * most, -1);
  for (size_t i = 0; i < lists.size(); ++i) {
    std::copy(lists[i].begin(), lists[i].end(), values.begin() + static_cast<ptrdiff_t>(i * most));
  }
  shape.push_back(most);
  return {std::move(name), std::move(shape), std::move(values)};
}

Replay::Replay(const Recording& r, const Policy& p, ThreadPool& threads)
    : recording(r), policy(p), pool(threads) {
  const size_t head_size = r.tokens() * r.head_dim();
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    const HeadView whole = r.head(h, r.tokens());
    k.insert(k.end(), whole.k, whole.k + head_size);
    v.insert(v.end(), whole.v, whole.v + head_size);
  }
  readable.resize(r.steps() * r.heads());
  for (size_t i = 0; i < readable.size(); ++i) {
    const size_t token = r.prompt() + i / r.heads(), first = r.first_seen(token);
    readable[i].resize(token + 1 - first);
    std::iota(readable[i].begin(), readable[i].end(), static_cast<int32_t>(first));
  }
  step_heads.resize(r.steps() * r.kv_heads());
  kept.resize(r.kv_heads());
  for (std::vector<int32_t>& head : kept) {
    head.resize(r.prompt());
    std::iota(head.begin(), head.end(), 0);
  }
  out.resize(r.tokens() * r.heads() * r.head_dim());
  lse.resize(r.tokens() * r.heads());
}

HeadView Replay::head(size_t kv_head, size_t tokens) const {
  HeadView view = recording.head(kv_head, tokens);
  view.k = k.data() + kv_head * recording.tokens() * recording.head_dim();
  view.v = v.data() + kv_head * recording.tokens() * recording.head_dim();
  return view;
}

void run_replay(Replay& replay) {
  replay_store(replay);
  replay_prefill(replay);
  replay_keep(replay);
  replay_choose(replay);
  replay_fetch(replay);
  replay_decode(replay);
  const Recording& r = replay.recording;
  replay.tensors.push_back({"out", {r.tokens(), r.heads(), r.head_dim()}, replay.out});
  replay.tensors.push_back({"lse", {r.tokens(), r.heads()}, replay.lse});
}

ReplayError compare_with_dense(const Replay& replay) {
  const Recording& r = replay.recording;
  const size_t d = r.head_dim(), heads = r.heads();
  std::vector<double> apart(r.tokens()), size(r.tokens());
  replay.pool.run(r.tokens(), [&](size_t t, int) {
    const size_t first = r.first_seen(t);
    std::vector<int32_t> keys(t + 1 - first);
    std::iota(keys.begin(), keys.end(), static_cast<int32_t>(first));
    std::vector<float> dense(d);
    for (size_t h = 0; h < heads; ++h) {
      const QueryView q = r.queries(h / r.group(), t, 1);
      attend_keys(r.head(h / r.group(), t + 1), q.row(0, h % r.group(), d), keys, dense.data());
      for (size_t c = 0; c < d; ++c) {
        const double off = double{replay.out[(t * heads + h) * d + c]} - dense[c];
        apart[t] += off * off;
        size[t] += double{dense[c]} * dense[c];
      }
    }
  });
  const auto share = [&](size_t begin, size_t end) {
    double a = 0, s = 0;
    for (size_t t = begin; t < end; ++t) a += apart[t], s += size[t];
    return s > 0 ? std::sqrt(a / s) : 0.0;
  };
  return {share(0, r.prompt()), share(r.prompt(), r.tokens())};
}

void write_replay(const Replay& replay, const std::string& path) {
  std::vector<file::SafetensorsView> views;
  for (const ReplayTensor& t : replay.tensors) views.push_back(view_of(t));
  file::write_safetensors(path, views,
                          {{"format", "fathom replay 1"},
                           {"kv", replay.policy.line},
                           {"prompt_tokens", std::to_string(replay.recording.prompt())}});
}

}  // namespace fathom::kv
