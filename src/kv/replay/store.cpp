// STORE: what is left of keys and values when they are read back.
#include <algorithm>

#include "base/checked.h"
#include "kv/replay/coded_rows.h"
#include "kv/replay/replay.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;

// Writes and reads back one page of a kv head in place; full pages behind the tail are sealed.
void code_page(const StoreCodec& codec, Replay& replay, size_t kv_head, size_t first) {
  const Recording& r = replay.recording;
  const size_t d = r.head_dim(), tokens = std::min(kPageTokens, r.prompt() - first);
  const bool sealed =
      codec.seals() && tokens == kPageTokens && first + kPageTokens + codec.tail() <= r.prompt();
  const size_t at = (kv_head * r.tokens() + first) * d;
  code_rows(codec, {sealed ? &codec : nullptr},
            {{r.layer(), kv_head}, d, tokens, replay.k.data() + at, replay.v.data() + at});
}

// A recording has no weights to take the norms from: those of the prompt's keys, for every layer up
// to the recorded one.
KeyNorms prompt_norms(const Recording& r) {
  const size_t d = r.head_dim();
  KeyNorms norms{r.kv_heads(), d, std::vector<float>((r.layer() + 1) * r.kv_heads() * d)};
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    const HeadView head = r.head(h, r.prompt());
    float* of_head = norms.norms.data() + (r.layer() * r.kv_heads() + h) * d;
    for (size_t i = 0; i < r.prompt() * d; ++i) of_head[i % d] += head.k[i] * head.k[i];
  }
  return norms;
}

// From [kv_heads][tokens][head_dim] to the prompt's [tokens, kv_heads, head_dim].
ReplayTensor prompt_tensor(const char* name, const Recording& r, const std::vector<float>& values) {
  const size_t d = r.head_dim();
  std::vector<float> out(r.prompt() * r.kv_heads() * d);
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    for (size_t t = 0; t < r.prompt(); ++t) {
      std::copy_n(values.data() + (h * r.tokens() + t) * d, d,
                  out.data() + (t * r.kv_heads() + h) * d);
    }
  }
  return {name, {r.prompt(), r.kv_heads(), d}, std::move(out)};
}

}  // namespace

void replay_store(Replay& replay) {
  if (!replay.policy.store) return;
  const Recording& r = replay.recording;
  Store store = replay.policy.store;
  if (store.needs_key_norms()) store.bind(prompt_norms(r));
  const size_t pages = ceil_div(r.prompt(), kPageTokens);
  replay.pool.run(r.kv_heads() * pages, [&](size_t i, int) {
    code_page(store.of(r.layer()), replay, i / pages, i % pages * kPageTokens);
  });
  if (!store.of(r.layer()).chooser()) add_decoded(replay);
}

void add_decoded(Replay& replay) {
  replay.tensors.push_back(prompt_tensor("k_decoded", replay.recording, replay.k));
  replay.tensors.push_back(prompt_tensor("v_decoded", replay.recording, replay.v));
}

}  // namespace fathom::kv
