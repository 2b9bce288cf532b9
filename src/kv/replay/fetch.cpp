// FETCH on a recording: what each decode step's query reads of what KEEP left. `fetched_positions`
// [steps, lists, most]: ascending, padded with -1; a list for each kv head, or for each query head
// where the policy lets these choose by themselves. Of a layer with a window, what that leaves.
#include <algorithm>

#include "base/error.h"
#include "kv/replay/fetch_layer.h"
#include "kv/replay/kept_layer.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

void require(const FetchNeeds& needs, const Replay& replay) {
  const Recording& r = replay.recording;
  if (needs.surprise) throw unsupported("replay", "a recording does not hold tokens' surprise");
  if (needs.sentences) throw unsupported("replay", "a recording does not hold sentences");
  const bool unrotated = r.has_unrotated_keys() && r.has_unrotated_queries();
  if (needs.unrotated && !(unrotated && r.rope_base())) {
    throw unsupported("replay",
                      "the recording lacks unrotated keys and queries, or rope_freq_base");
  }
  const KeepPolicy* keep = replay.policy.keep.get();
  if (keep && (keep->evicts_while_decoding() || needs.observed > 0)) {
    throw with_hint(
        unsupported("replay", "tokens are evicted under the index of '{}'", replay.policy.line),
        "a keep method that evicts once, and a fetch method that looks at keys only");
  }
}

// The tokens at `positions` of one kv head, gathered.
class Gathered {
 public:
  Gathered(const Replay& replay, size_t kv_head, const std::vector<int32_t>& positions)
      : positions_(positions), view_(replay.head(kv_head, replay.recording.tokens())) {
    const size_t d = view_.head_dim;
    const auto rows = [&](const float* from, std::vector<float>& to) {
      for (const int32_t p : positions_) {
        to.insert(to.end(), from + static_cast<size_t>(p) * d,
                  from + static_cast<size_t>(p + 1) * d);
      }
      return to.data();
    };
    view_.k = rows(view_.k, k_);
    view_.v = rows(view_.v, v_);
    if (view_.k_unrotated) view_.k_unrotated = rows(view_.k_unrotated, k_unrotated_);
    view_.positions = positions_.data();
    view_.tokens = positions_.size();
  }
  Gathered(const Gathered&) = delete;
  Gathered& operator=(const Gathered&) = delete;
  const HeadView& view() const { return view_; }

 private:
  std::vector<int32_t> positions_;
  std::vector<float> k_, v_, k_unrotated_;
  HeadView view_;
};

class FetchReplay {
 public:
  explicit FetchReplay(Replay& replay)
      : replay_(replay),
        r_(replay.recording),
        layer_(*replay.policy.fetch, r_.kv_heads()),
        rope_(recorded_rope(r_)) {}

  void read_prompt(size_t observed) {
    const size_t block = observed == 0 ? r_.prompt() : observed;
    for (size_t first = 0; first < r_.prompt() && observed > 0; first += block) {
      const size_t end = std::min(first + block, r_.prompt());
      std::vector<HeadView> heads;
      std::vector<QueryView> queries;
      for (size_t h = 0; h < r_.kv_heads(); ++h) {
        heads.push_back(replay_.head(h, end));
        heads.back().rope = rope_ ? &rope_->view : nullptr;
        queries.push_back(r_.queries(h, first, end - first));
      }
      layer_.read_prompt(heads, queries);
    }
  }

  void step(size_t s) {
    std::vector<std::unique_ptr<Gathered>> gathered;
    std::vector<HeadView> heads;
    std::vector<QueryView> queries;
    for (size_t h = 0; h < r_.kv_heads(); ++h) {
      const auto& positions = replay_.readable[s * r_.heads() + h * r_.group()];
      gathered.push_back(std::make_unique<Gathered>(replay_, h, positions));
      heads.push_back(gathered.back()->view());
      heads.back().rope = rope_ ? &rope_->view : nullptr;
      queries.push_back(r_.queries(h, r_.prompt() + s, 1));
    }
    const auto chosen = layer_.step(heads, queries);
    for (size_t h = 0; h < r_.kv_heads(); ++h) {
      const size_t before = lists_.size();
      for (const Runs& runs : chosen[h]) lists_.push_back(positions_of(heads[h], runs));
      for (size_t g = 0; g < r_.group(); ++g) {
        const size_t list = before + (chosen[h].size() == 1 ? 0 : g);
        replay_.readable[s * r_.heads() + h * r_.group() + g] = lists_[list];
      }
    }
  }

  // Layers with a window are left to it.
  void step_in_window(size_t s) {
    for (size_t h = 0; h < r_.kv_heads(); ++h) {
      lists_.push_back(replay_.readable[s * r_.heads() + h * r_.group()]);
    }
  }

  void finish() {
    const size_t steps = std::max<size_t>(r_.steps(), 1);
    replay_.tensors.push_back(
        padded("fetched_positions", {r_.steps(), lists_.size() / steps}, lists_));
    double bytes = 0;
    for (size_t h = 0; h < r_.kv_heads(); ++h) {
      bytes += static_cast<double>(layer_.index(h).bytes());
    }
    replay_.numbers["fetch_index_bytes"] = bytes;
  }

 private:
  static std::vector<int32_t> positions_of(const HeadView& head, const Runs& runs) {
    std::vector<int32_t> out;
    for (const Run& run : runs) {
      for (int32_t t = run.first; t < run.end; ++t) {
        out.push_back(head.position(static_cast<size_t>(t)));
      }
    }
    return out;
  }

  Replay& replay_;
  const Recording& r_;
  FetchLayer layer_;
  std::unique_ptr<RecordedRope> rope_;
  std::vector<std::vector<int32_t>> lists_;
};

}  // namespace

void replay_fetch(Replay& replay) {
  if (!replay.policy.fetch) return;
  const FetchNeeds needs = replay.policy.fetch->needs();
  require(needs, replay);
  FetchReplay fetch(replay);
  const bool windowed = replay.recording.window() > 0;
  if (!windowed) fetch.read_prompt(needs.observed);
  for (size_t s = 0; s < replay.recording.steps(); ++s) {
    windowed ? fetch.step_in_window(s) : fetch.step(s);
  }
  fetch.finish();
}

}  // namespace fathom::kv
