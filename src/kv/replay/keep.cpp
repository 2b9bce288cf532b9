// KEEP on a recording: asked when the prompt has been read and, if the policy evicts while
// decoding, after every step. `kept_positions` [1 + steps, kv_heads, most]: after the prompt and
// after each step, ascending, padded with -1. Where dropped tokens leave one behind that stands for
// them: `extra_k`, `extra_v` [1 + steps, kv_heads, head_dim], `extra_counts` [1 + steps, kv_heads].
#include <algorithm>

#include "base/error.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/kept_layer.h"
#include "kv/replay/replay.h"
#include "kv/rope.h"

namespace fathom::kv {
namespace {

using Positions = std::vector<std::vector<int32_t>>;

void require(const KeepPolicy& policy, const Recording& r) {
  const KeepNeeds needs = policy.needs();
  if (policy.moving_sinks() > 0 && !r.rope_base()) {
    throw with_hint(unsupported("replay", "the recording lacks rope_freq_base, by which keys move"),
                    "positions=text leaves them where they are");
  }
  if (needs.surprise) throw unsupported("replay", "a recording does not hold tokens' surprise");
  const bool unrotated = r.has_unrotated_keys() && r.has_unrotated_queries();
  if (needs.unrotated && !(unrotated && r.rope_base())) {
    throw unsupported("replay",
                      "the recording lacks unrotated keys and queries, or rope_freq_base");
  }
}

// What every head of the step's query may read: what was kept before it, and its own token, as far
// as it sees them.
void leave(const Positions& kept, size_t step, Replay& replay) {
  const Recording& r = replay.recording;
  std::vector<float> none;
  for (size_t h = 0; h < r.heads(); ++h) {
    std::vector<int32_t>& readable = replay.readable[step * r.heads() + h];
    readable = kept[h / r.group()];
    readable.push_back(static_cast<int32_t>(r.prompt() + step));
    drop_before(r.first_seen(r.prompt() + step), readable, none);
  }
}

// The keys of the head's first tokens, turned on by as many positions as were dropped behind them.
void move_sinks(const Replay& replay, size_t kv_head, size_t sinks, size_t dropped,
                std::vector<float>& out) {
  const HeadView head = replay.head(kv_head, replay.recording.tokens());
  const auto rope = recorded_rope(replay.recording);
  const Rotation on(rope->view, static_cast<double>(dropped));
  out.resize(sinks * head.head_dim);
  for (size_t t = 0; t < sinks; ++t) {
    on.apply(head.key(t), head.head_dim, out.data() + t * head.head_dim);
  }
}

// What stands for dropped tokens, and where the first ones are seen, for the step's queries.
void leave_heads(const KeepPolicy& policy, const KeptLayer& layer, size_t step, Replay& replay) {
  for (size_t h = 0; h < layer.heads(); ++h) {
    Replay::StepHead& head = replay.step_heads[step * layer.heads() + h];
    const size_t kept = layer.positions(h).size();
    head.extra = layer.extra(h);
    const size_t sinks = std::min(policy.moving_sinks(), kept);
    if (sinks > 0) move_sinks(replay, h, sinks, layer.read() - kept, head.sinks);
  }
}

// What stood for dropped tokens after the prompt and each step.
struct Extras {
  std::vector<float> k, v, counts;

  void add(const KeptLayer& layer, size_t d) {
    for (size_t h = 0; h < layer.heads(); ++h) {
      const ExtraToken& extra = layer.extra(h);
      k.insert(k.end(), extra.k.begin(), extra.k.end());
      v.insert(v.end(), extra.v.begin(), extra.v.end());
      counts.push_back(static_cast<float>(extra.count));
      k.resize(counts.size() * d);
      v.resize(counts.size() * d);
    }
  }
  void write(Replay& replay) {
    const Recording& r = replay.recording;
    const std::vector<uint64_t> shape = {r.steps() + 1, r.kv_heads(), r.head_dim()};
    replay.tensors.push_back({"extra_k", shape, std::move(k)});
    replay.tensors.push_back({"extra_v", shape, std::move(v)});
    replay.tensors.push_back({"extra_counts", {shape[0], shape[1]}, std::move(counts)});
  }
};

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
  Extras extras;
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
    extras.add(layer, r.head_dim());
    if (step < r.steps()) {
      leave(now, step, replay);
      leave_heads(*policy, layer, step, replay);
    }
    if (step == 0) {
      replay.kept = now;
      double sum = 0;
      for (const auto& head : now) sum += static_cast<double>(head.size());
      replay.numbers["prompt_kept"] = sum / static_cast<double>(r.prompt() * layer.heads());
    }
    all.insert(all.end(), now.begin(), now.end());
  }
  replay.tensors.push_back(padded("kept_positions", {r.steps() + 1, r.kv_heads()}, all));
  if (policy->leaves_extra_token()) extras.write(replay);
}

}  // namespace fathom::kv
