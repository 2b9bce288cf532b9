// PREFILL: the lists of every query head and block, and the prompt's rows over them.
#include <atomic>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "kv/prefill/selection.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/bundle_index.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

// The prompt as one chunk of a kv head. A policy sees what the model computed, not what STORE made
// of it: it decides while keys are at hand as they are.
PrefillView whole_prompt(const Recording& r, size_t kv_head) {
  PrefillView view{r.head(kv_head, r.prompt()), r.queries(kv_head, 0, r.prompt()), r.prompt()};
  view.head.v = nullptr;
  return view;
}

struct Decisions {
  size_t block = kPieceTokens, blocks = 0;
  std::vector<RowList> lists;  // [heads][blocks]
};

Decisions decide(Replay& replay) {
  const Recording& r = replay.recording;
  if (replay.policy.filter) {
    throw unsupported("replay", "'{}' reads a prompt twice, and a recording is of one layer",
                      replay.policy.line);
  }
  const PrefillPolicy* policy = replay.policy.prefill.get();
  Decisions d;
  if (policy) d.block = policy->query_block();
  d.blocks = ceil_div(r.prompt(), d.block);
  d.lists.resize(r.heads() * d.blocks);
  replay.bundles.assign(r.kv_heads(), {});
  replay.pool.run(r.kv_heads(), [&](size_t kv_head, int) {
    const PrefillView view = whole_prompt(r, kv_head);
    const size_t per_head = r.group() * d.blocks;
    const std::span<RowList> lists = std::span(d.lists).subspan(kv_head * per_head, per_head);
    if (policy) {
      policy->select(view, lists);
      policy->bundle(view, replay.bundles[kv_head]);
      return;
    }
    for (size_t i = 0; i < lists.size(); ++i) {
      list_dense(ChunkBlocks(view, d.block).end(i % d.blocks), lists[i]);
    }
  });
  return d;
}

// Fills the prompt's rows; returns how many keys were read.
size_t attend(Replay& replay, const Decisions& d) {
  const Recording& r = replay.recording;
  std::atomic<size_t> read = 0;
  const std::vector<BundleIndex> bundles(replay.bundles.begin(), replay.bundles.end());
  replay.pool.run(d.lists.size(), [&](size_t i, int) {
    const size_t head = i / d.blocks, begin = i % d.blocks * d.block;
    const HeadView view = replay.head(head / r.group(), r.prompt());
    const QueryView queries = r.queries(head / r.group(), 0, r.prompt());
    std::vector<int32_t> keys;
    std::vector<float> counts;
    size_t keys_read = 0;
    for (size_t t = begin; t < std::min(begin + d.block, r.prompt()); ++t) {
      visible_keys(d.lists[i], t, keys);
      counts.clear();
      bundles[head / r.group()].append(head % r.group(), t, keys, counts);
      drop_before(r.first_seen(t), keys, counts);
      const size_t row = t * r.heads() + head;
      const float* q = queries.row(t, head % r.group(), r.head_dim());
      float* out = replay.out.data() + row * r.head_dim();
      replay.lse[row] = static_cast<float>(attend_keys(view, q, keys, out, counts));
      keys_read += keys.size();
    }
    read += keys_read;
  });
  return read;
}

// Lists one after the other: where each begins, and one more for the end.
void add_lists(Replay& replay, const std::string& name, const Decisions& d,
               std::vector<int32_t> RowList::*part) {
  std::vector<int32_t> offsets = {0}, values;
  for (const RowList& list : d.lists) {
    values.insert(values.end(), (list.*part).begin(), (list.*part).end());
    if (values.size() > std::numeric_limits<int32_t>::max()) {
      throw unsupported("replay", "{} would have more than 2^31 entries", name);
    }
    offsets.push_back(static_cast<int32_t>(values.size()));
  }
  replay.tensors.push_back({name + "_offsets", {offsets.size()}, std::move(offsets)});
  const size_t size = values.size();
  replay.tensors.push_back({name, {size}, std::move(values)});
}

// One part of every bundle: `part` appends it.
template <class Part>
void add_parts(Replay& replay, const std::string& name, size_t width, Part part) {
  std::vector<int32_t> offsets = {0}, values;
  for (size_t h = 0; h < replay.bundles.size(); ++h) {
    for (const std::vector<Bundle>& round : replay.bundles[h].rounds) {
      for (const Bundle& bundle : round) {
        part(h, bundle, values);
        offsets.push_back(static_cast<int32_t>(values.size() / width));
      }
    }
  }
  replay.tensors.push_back({name + "_offsets", {offsets.size()}, std::move(offsets)});
  std::vector<uint64_t> shape = {values.size() / width};
  if (width > 1) shape.push_back(width);
  replay.tensors.push_back({name, std::move(shape), std::move(values)});
}

// What was brought together, for policies that do that.
void add_bundles(Replay& replay) {
  using Values = std::vector<int32_t>;
  std::vector<float> weights;
  for (const Bundles& b : replay.bundles) {
    for (const std::vector<Bundle>& round : b.rounds) {
      for (const Bundle& bundle : round) weights.push_back(b.samples[bundle.sample].weight);
    }
  }
  if (weights.empty()) return;
  const size_t group = replay.recording.group();
  add_parts(replay, "prefill_bundle_rows", 2, [&](size_t h, const Bundle& bundle, Values& to) {
    for (const Bundle::Row& row : bundle.rows) {
      to.push_back(static_cast<int32_t>(h * group + row.head));
      to.push_back(static_cast<int32_t>(row.query));
    }
  });
  add_parts(replay, "prefill_bundle_keys", 1, [](size_t, const Bundle& bundle, Values& to) {
    to.insert(to.end(), bundle.keys.begin(), bundle.keys.end());
  });
  add_parts(replay, "prefill_bundle_sample", 1, [&](size_t h, const Bundle& bundle, Values& to) {
    const std::vector<int32_t> sample = seen_sample(replay.bundles[h], bundle);
    to.insert(to.end(), sample.begin(), sample.end());
  });
  const size_t count = weights.size();
  replay.tensors.push_back({"prefill_bundle_weights", {count}, std::move(weights)});
}

}  // namespace

void replay_prefill(Replay& replay) {
  const Decisions d = decide(replay);
  const double read = static_cast<double>(attend(replay, d));
  double seen = 0;
  for (size_t t = 0; t < replay.recording.prompt(); ++t) {
    seen += static_cast<double>(t + 1 - replay.recording.first_seen(t));
  }
  const double heads = static_cast<double>(replay.recording.heads());
  replay.numbers["prefill_keys_read"] = read / (heads * seen);
  add_lists(replay, "prefill_blocks", d, &RowList::pieces);
  add_lists(replay, "prefill_columns", d, &RowList::columns);
  add_bundles(replay);
  std::vector<int32_t> windows;
  for (const RowList& list : d.lists) windows.insert(windows.end(), {list.sinks, list.window});
  replay.tensors.push_back(
      {"prefill_windows", {replay.recording.heads(), d.blocks, 2}, std::move(windows)});
  replay.tensors.push_back(
      {"prefill_query_block", {1}, std::vector<int32_t>{static_cast<int32_t>(d.block)}});
}

}  // namespace fathom::kv
