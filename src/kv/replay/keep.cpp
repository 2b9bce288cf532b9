// KEEP on a recording: asked when the prompt has been read and, if the policy evicts while
// decoding, after every step. `kept_positions` [1 + steps, kv_heads, most]: after the prompt and
// after each step, ascending, padded with -1.
#include <algorithm>

#include "base/error.h"
#include "kv/replay/kept_layer.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

using Positions = std::vector<std::vector<int32_t>>;

void require(const KeepPolicy& policy, const Recording& r) {
  const KeepNeeds needs = policy.needs();
  if (policy.moving_sinks() > 0) {
    throw with_hint(unsupported("replay", "a recording's first tokens stay where they are"),
                    "positions=text; a model runs positions=slots");
  }
  if (needs.surprise) throw unsupported("replay", "a recording does not hold tokens' surprise");
  const bool unrotated = r.has_unrotated_keys() && r.has_unrotated_queries();
  if (needs.unrotated && !(unrotated && r.rope_base())) {
    throw unsupported("replay",
                      "the recording lacks unrotated keys and queries, or rope_freq_base");
  }
}

// What every head of the step's query may read: what was kept before it, and its own token.
void leave(const Positions& kept, size_t step, Replay& replay) {
  const Recording& r = replay.recording;
  for (size_t h = 0; h < r.heads(); ++h) {
    std::vector<int32_t>& readable = replay.readable[step * r.heads() + h];
    readable = kept[h / r.group()];
    readable.push_back(static_cast<int32_t>(r.prompt() + step));
  }
}

// Values that the policy changed, for the decode steps; the prompt's rows are done.
void take_values(const KeptLayer& layer, Replay& replay) {
  const Recording& r = replay.recording;
  for (size_t h = 0; h < layer.heads(); ++h) {
    const HeadView view = layer.view(h);
    for (size_t t = 0; t < view.tokens; ++t) {
      const size_t row = h * r.tokens() + static_cast<size_t>(view.position(t));
      std::copy_n(view.value(t), view.head_dim, replay.v.data() + row * view.head_dim);
    }
  }
}

}  // namespace

void replay_keep(Replay& replay) {
  const KeepPolicy* policy = replay.policy.keep.get();
  if (!policy) return;
  const Recording& r = replay.recording;
  const KeepNeeds needs = policy->needs();
  require(*policy, r);
  const std::vector<float> v = replay.v;  // as read; folding changes the replay's
  KeptLayer layer(r, r.layer() + 1);
  layer.replace(replay.k.data(), v.data());
  Positions kept(layer.heads()), all;
  for (size_t step = 0; step <= r.steps(); ++step) {
    const KeepView& view = layer.append(step == 0 ? r.prompt() : 1, needs);
    if (step == 0 || policy->evicts_while_decoding()) {
      policy->select(view, kept);
      layer.apply(*policy, kept);
    }
    if (step == 0 && policy->folds()) take_values(layer, replay);
    Positions now;
    for (size_t h = 0; h < layer.heads(); ++h) {
      now.emplace_back(layer.positions(h).begin(), layer.positions(h).end());
    }
    if (step < r.steps()) leave(now, step, replay);
    if (step == 0) {
      double sum = 0;
      for (const auto& head : now) sum += static_cast<double>(head.size());
      replay.numbers["prompt_kept"] = sum / static_cast<double>(r.prompt() * layer.heads());
    }
    all.insert(all.end(), now.begin(), now.end());
  }
  replay.tensors.push_back(padded("kept_positions", {r.steps() + 1, r.kv_heads()}, all));
}

}  // namespace fathom::kv
