// A store that gives each page of a head a codec of its own, or none, on a recording: asked once,
// for what KEEP left of the prompt. `store_bytes` [kv_heads, pages]: of each of its pages, padded
// with -1.
#include <algorithm>

#include "base/checked.h"
#include "kv/replay/coded_rows.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;

// The tokens of a kv head that are left of the prompt, gathered.
struct Left {
  const std::vector<int32_t>& positions;
  std::vector<float> k, v;  // [tokens][head_dim]
  HeadView view;

  Left(const Replay& replay, size_t kv_head)
      : positions(replay.kept[kv_head]), view(replay.head(kv_head, replay.recording.prompt())) {
    const size_t d = view.head_dim;
    for (const int32_t p : positions) {
      const auto t = static_cast<size_t>(p);
      k.insert(k.end(), view.key(t), view.key(t) + d);
      v.insert(v.end(), view.value(t), view.value(t) + d);
    }
    view.tokens = positions.size();
    view.k = k.data();
    view.v = nullptr;
    view.positions = positions.data();
  }
};

std::vector<PageChooser::Page> choose(const StoreCodec& codec, const HeadView& head,
                                      const QueryView& queries) {
  std::vector<PageChooser::Page> pages(ceil_div(head.tokens, kPageTokens));
  for (size_t p = 0; p < pages.size(); ++p) {
    pages[p].open = (p + 1) * kPageTokens + codec.tail() <= head.tokens;
  }
  codec.chooser()->choose(head, queries, pages);
  return pages;
}

// Encodes what is left of a head, in the replay too; returns the bytes of each page.
std::vector<int32_t> code_head(const StoreCodec& codec, Replay& replay, size_t kv_head) {
  const Recording& r = replay.recording;
  const size_t d = r.head_dim(), window = std::min(codec.chooser()->window(), r.prompt());
  Left left(replay, kv_head);
  const auto pages = choose(codec, left.view, r.queries(kv_head, r.prompt() - window, window));
  std::vector<int32_t> bytes;
  for (size_t p = 0; p < pages.size(); ++p) {
    const size_t first = p * kPageTokens, n = std::min(kPageTokens, left.view.tokens - first);
    const PageRows rows{{r.layer(), kv_head}, d, n, &left.k[first * d], &left.v[first * d]};
    bytes.push_back(static_cast<int32_t>(code_rows(codec, pages[p], rows)));
  }
  for (size_t i = 0; i < left.positions.size(); ++i) {
    const size_t to = (kv_head * r.tokens() + static_cast<size_t>(left.positions[i])) * d;
    std::copy_n(&left.k[i * d], d, replay.k.data() + to);
    std::copy_n(&left.v[i * d], d, replay.v.data() + to);
  }
  return bytes;
}

}  // namespace

void replay_choose(Replay& replay) {
  if (!replay.policy.store) return;
  const Recording& r = replay.recording;
  const StoreCodec& codec = replay.policy.store.of(r.layer());
  if (!codec.chooser()) return;
  std::vector<std::vector<int32_t>> bytes(r.kv_heads());
  replay.pool.run(bytes.size(), [&](size_t h, int) { bytes[h] = code_head(codec, replay, h); });
  replay.tensors.push_back(padded("store_bytes", {r.kv_heads()}, bytes));
  add_decoded(replay);
}

}  // namespace fathom::kv
