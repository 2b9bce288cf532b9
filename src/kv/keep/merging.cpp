#include "kv/keep/merging.h"

#include <algorithm>

#include "kv/keep/scorers.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

constexpr float kTiny = 1e-6f;

// The survivors' normalised keys, contiguous.
std::vector<float> directions(const HeadView& head, std::span<const int32_t> kept) {
  const size_t d = head.head_dim;
  std::vector<float> out(kept.size() * d);
  for (size_t i = 0; i < kept.size(); ++i) {
    std::copy_n(head.key(static_cast<size_t>(kept[i])), d, out.data() + i * d);
    normalize(out.data() + i * d, d);
  }
  return out;
}

// Survivors within `reach` positions of a token: [first, end) of kept.
struct Reach {
  size_t first, end;
};
Reach within(const HeadView& head, std::span<const int32_t> kept, int32_t position, size_t reach) {
  if (reach == 0) return {0, kept.size()};
  const auto far = static_cast<int64_t>(reach);
  const auto before = [&](int32_t index, int64_t at) {
    return head.position(static_cast<size_t>(index)) < at;
  };
  const auto first = std::lower_bound(kept.begin(), kept.end(), int64_t{position} - far, before);
  const auto end = std::lower_bound(first, kept.end(), int64_t{position} + far + 1, before);
  return {static_cast<size_t>(first - kept.begin()), static_cast<size_t>(end - kept.begin())};
}

class Merging final : public KeepPolicy {
 public:
  Merging(std::unique_ptr<const KeepPolicy> inner, MergingOptions options)
      : inner_(std::move(inner)), options_(options) {}

  KeepNeeds needs() const override { return inner_->needs(); }
  bool evicts_while_decoding() const override { return inner_->evicts_while_decoding(); }
  bool evicts_while_reading() const override { return inner_->evicts_while_reading(); }
  bool folds() const override { return true; }

  void select(const KeepView& view, std::span<std::vector<int32_t>> kept) const override {
    inner_->select(view, kept);
  }

  Folded fold(const HeadView& head, std::span<const int32_t> kept) const override {
    Folded out;
    if (kept.size() == head.tokens) return out;
    const size_t d = head.head_dim;
    std::vector<float> weight(kept.size()), length(kept.size());
    out.v.resize(kept.size() * d);
    for (size_t i = 0; i < kept.size(); ++i) {
      const float* value = head.value(static_cast<size_t>(kept[i]));
      std::copy_n(value, d, out.v.data() + i * d);
      length[i] = norm(value, d);
    }
    for (const Merge& m : merge_targets(head, kept, options_.reach)) {
      if (m.target < 0 || m.cosine < options_.threshold || m.cosine <= 0) continue;
      const auto to = static_cast<size_t>(m.target);
      const float* value = head.value(static_cast<size_t>(m.token));
      const float own = norm(value, d);
      const float w = m.cosine * own / (own + length[to] + kTiny);
      add_scaled(w, value, d, out.v.data() + to * d);
      weight[to] += w;
    }
    for (size_t i = 0; i < kept.size(); ++i) {
      for (size_t c = 0; c < d; ++c) out.v[i * d + c] /= 1.0f + weight[i];
    }
    return out;
  }

 private:
  std::unique_ptr<const KeepPolicy> inner_;
  MergingOptions options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps"},
    {"threshold", "0", "", 0, 1, "cosine of keys below which a token is dropped after all"},
    {"reach", "256", "", 0, 1e9, "positions to either side that may take a token in; 0: all"},
    FATHOM_SCORER_PARAMETERS,
};

}  // namespace

std::vector<Merge> merge_targets(const HeadView& head, std::span<const int32_t> kept,
                                 size_t reach) {
  const size_t d = head.head_dim;
  const std::vector<float> targets = directions(head, kept);
  std::vector<Merge> merges;
  std::vector<float> key(d);
  size_t next = 0;  // in kept
  for (size_t t = 0; t < head.tokens; ++t) {
    if (next < kept.size() && static_cast<size_t>(kept[next]) == t) {
      ++next;
      continue;
    }
    std::copy_n(head.key(t), d, key.data());
    normalize(key.data(), d);
    Merge merge{static_cast<int32_t>(t), -1, 0.0f};
    const Reach near = within(head, kept, head.position(t), reach);
    for (size_t i = near.first; i < near.end; ++i) {
      const float cosine = dot(key.data(), targets.data() + i * d, d);
      if (merge.target >= 0 && !(cosine > merge.cosine)) continue;
      merge.target = static_cast<int32_t>(i);
      merge.cosine = cosine;
    }
    merges.push_back(merge);
  }
  return merges;
}

std::unique_ptr<const KeepPolicy> make_merging(std::unique_ptr<const KeepPolicy> inner,
                                               MergingOptions options) {
  return std::make_unique<Merging>(std::move(inner), options);
}

MethodInfo merging_info() {
  return {.stage = Stage::kKeep,
          .name = "merging",
          .summary = "any scorer; values of evicted tokens are folded into similar survivors",
          .paper = "LOOK-M, 2024, arXiv:2406.18139; D2O, 2024, arXiv:2406.13035",
          .needs = "what its scorer needs",
          .cost = "once: evicted * survivors in reach * head_dim multiply-adds a kv head",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_merging(const Parameters& p) {
  auto inner = make_budgeted(make_scorer(p), even_budget(p.count("budget")), forced_tokens(p));
  return make_merging(std::move(inner),
                      {static_cast<float>(p.number("threshold")), p.count("reach")});
}

}  // namespace fathom::kv
