#include "eval/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/checked.h"
#include "base/error.h"
#include "engine/cache_attention.h"
#include "kv/prefill/minference.h"
#include "kv/replay/attend_lists.h"

namespace fathom::eval {
namespace {

using kv::MInferenceHead;
using kv::MInferencePattern;

constexpr size_t kBlock = kv::kPieceTokens;
constexpr size_t kSinks = 64;
constexpr size_t kColumns[] = {30, 100, 300, 1000, 3000};
constexpr size_t kLeastOffsets = 50;
constexpr size_t kOffsets[] = {50, 100, 500, 2000};

// `count` of n tokens, evenly spread, the last among them.
std::vector<size_t> spread_rows(size_t n, size_t count) {
  std::vector<size_t> rows;
  count = std::min(count, n);
  for (size_t i = 1; i <= count; ++i) rows.push_back(i * n / count - 1);
  return rows;
}

// A candidate whose cost grows with one number.
struct Family {
  size_t least = 1, most = 1;
  std::function<MInferenceHead(size_t)> sized;
};

std::vector<Family> families(size_t tokens) {
  std::vector<Family> out;
  out.push_back({kBlock, tokens, [](size_t window) {
                   return MInferenceHead{MInferencePattern::kStreaming, kSinks, window};
                 }});
  for (const size_t columns : kColumns) {
    if (columns >= tokens) break;
    out.push_back({kLeastOffsets, tokens, [columns](size_t offsets) {
                     return MInferenceHead{MInferencePattern::kVerticalSlash, columns, offsets};
                   }});
  }
  for (const size_t offsets : kOffsets) {
    if (offsets >= tokens) break;
    out.push_back({kColumns[0], tokens, [offsets](size_t columns) {
                     return MInferenceHead{MInferencePattern::kVerticalSlash, columns, offsets};
                   }});
  }
  out.push_back({1, ceil_div(tokens, kBlock), [](size_t blocks) {
                   return MInferenceHead{MInferencePattern::kBlockSparse, blocks, 0};
                 }});
  return out;
}

class Trials {
 public:
  Trials(const PromptHead& head, const CalibrationOptions& options)
      : head_(head), options_(options), rows_(spread_rows(head.tokens, options.rows)) {
    gather_keys();
    for (size_t b = 0; b < blocks(); ++b) dense_cost_ += double(rows_of(b) * (b + 1) * kBlock);
  }

  std::vector<PatternTrial> run() {
    std::vector<PatternTrial> out, beyond;
    for (const Family& family : families(head_.tokens)) {
      PatternTrial trial = largest(family);
      (trial.cost <= options_.budget ? out : beyond).push_back(trial);
    }
    if (out.empty()) {
      out.push_back(*std::min_element(
          beyond.begin(), beyond.end(),
          [](const PatternTrial& a, const PatternTrial& b) { return a.cost < b.cost; }));
    }
    for (PatternTrial& trial : out) {
      select(trial.head);
      trial.error = error();
    }
    return out;
  }

 private:
  size_t blocks() const { return ceil_div(head_.tokens, kBlock); }
  size_t rows_of(size_t block) const { return std::min(kBlock, head_.tokens - block * kBlock); }

  // Policies want a head's keys one after the other.
  void gather_keys() {
    keys_.resize(head_.tokens * head_.head_dim);
    for (size_t t = 0; t < head_.tokens; ++t) {
      std::copy_n(head_.k + t * head_.kv_stride, head_.head_dim, keys_.data() + t * head_.head_dim);
    }
    view_.head = {.layer = head_.layer,
                  .kv_head = 0,
                  .head_dim = head_.head_dim,
                  .tokens = head_.tokens,
                  .k = keys_.data(),
                  .scale = head_.scale,
                  .soft_cap = head_.soft_cap,
                  .window = head_.window};
    view_.queries = {
        .group = 1, .tokens = head_.tokens, .first = 0, .stride = head_.q_stride, .q = head_.q};
    view_.prompt = head_.tokens;
  }

  void select(const MInferenceHead& head) {
    lists_.assign(blocks(), {});
    kv::make_minference(head)->select(view_, lists_);
  }

  // Of the lists: a tile is computed whole.
  double cost() const {
    double sum = 0;
    for (size_t b = 0; b < lists_.size(); ++b) {
      const size_t keys = lists_[b].pieces.size() * kBlock + lists_[b].columns.size();
      sum += double(rows_of(b) * keys);
    }
    return sum / dense_cost_;
  }

  PatternTrial sized(const Family& family, size_t size) {
    PatternTrial trial{family.sized(size), 0, 0};
    select(trial.head);
    trial.cost = cost();
    return trial;
  }

  // Within the budget, or the smallest there is.
  PatternTrial largest(const Family& family) {
    PatternTrial best = sized(family, family.least);
    size_t low = family.least, high = family.most + 1;
    while (best.cost <= options_.budget && high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      const PatternTrial trial = sized(family, middle);
      if (trial.cost <= options_.budget) {
        low = middle;
        best = trial;
      } else {
        high = middle;
      }
    }
    return best;
  }

  double error() const {
    double wrong = 0, size = 0;
    std::vector<int32_t> keys;
    std::vector<double> out(head_.head_dim);
    for (const size_t row : rows_) {
      kv::visible_keys(lists_[row / kBlock], row, keys);
      attend(row, keys, out);
      const float* dense = head_.out + row * head_.q_stride;
      for (size_t c = 0; c < out.size(); ++c) {
        wrong += (out[c] - dense[c]) * (out[c] - dense[c]);
        size += double{dense[c]} * dense[c];
      }
    }
    return size > 0 ? std::sqrt(wrong / size) : 0;
  }

  double logit(size_t row, size_t key) const {
    const float *q = head_.q + row * head_.q_stride, *k = keys_.data() + key * head_.head_dim;
    double x = 0;
    for (size_t c = 0; c < head_.head_dim; ++c) x += double{q[c]} * k[c];
    x *= head_.scale;
    return head_.soft_cap > 0 ? head_.soft_cap * std::tanh(x / head_.soft_cap) : x;
  }

  // Softmax over the keys that the window leaves; the row itself is always one of them.
  void attend(size_t row, std::span<const int32_t> keys, std::vector<double>& out) const {
    double top = -INFINITY, total = 0;
    std::fill(out.begin(), out.end(), 0);
    for (const int32_t key : keys) {
      if (head_.window > 0 && static_cast<int32_t>(row) - key >= head_.window) continue;
      const double x = logit(row, static_cast<size_t>(key));
      const double old = x > top ? std::exp(top - x) : 1, weight = x > top ? 1 : std::exp(x - top);
      top = std::max(top, x);
      const float* v = head_.v + static_cast<size_t>(key) * head_.kv_stride;
      for (size_t c = 0; c < out.size(); ++c) out[c] = out[c] * old + weight * v[c];
      total = total * old + weight;
    }
    for (double& x : out) x /= total;
  }

  const PromptHead& head_;
  const CalibrationOptions& options_;
  std::vector<size_t> rows_;
  std::vector<float> keys_;
  kv::PrefillView view_;
  std::vector<kv::RowList> lists_;
  double dense_cost_ = 0;
};

// Tries the patterns on a layer while the model reads.
class Calibrator final : public engine::AttentionObserver {
 public:
  Calibrator(engine::Runner& runner, const CalibrationOptions& options, const Progress& progress)
      : runner_(runner), options_(options), progress_(progress) {}

  void attended(const model::AttendCall& call, size_t rows) override {
    if (ended_) return;
    const model::Config& c = runner_.config();
    const size_t d = c.head_dim, group = c.heads / c.kv_heads;
    std::vector<std::vector<PatternTrial>> layer(c.heads);
    runner_.threads().run(c.heads, [&](size_t h, int) {
      const PromptHead head{call.layer,
                            rows,
                            d,
                            call.q + h * d,
                            call.k + h / group * d,
                            call.v + h / group * d,
                            call.out + h * d,
                            c.heads * d,
                            c.kv_heads * d,
                            call.scale,
                            call.soft_cap,
                            call.window};
      layer[h] = try_patterns(head, options_);
    });
    found_.push_back(std::move(layer));
    ended_ = !report(progress_, {"calibrating", found_.size(), c.layers, "layers"});
  }

  bool ended() const { return ended_; }
  Calibration take() { return std::move(found_); }

 private:
  engine::Runner& runner_;
  const CalibrationOptions& options_;
  const Progress& progress_;
  Calibration found_;
  bool ended_ = false;
};

std::string_view pattern_name(MInferencePattern pattern) {
  switch (pattern) {
    case MInferencePattern::kVerticalSlash:
      return "vertical_and_slash";
    case MInferencePattern::kBlockSparse:
      return "block_sparse";
    case MInferencePattern::kStreaming:
      break;
  }
  return "stream_llm";
}

}  // namespace

std::vector<PatternTrial> try_patterns(const PromptHead& head, const CalibrationOptions& options) {
  FATHOM_CHECK(head.tokens > 0 && options.rows > 0);
  return Trials(head, options).run();
}

const PatternTrial& best_trial(const std::vector<PatternTrial>& trials) {
  return *std::min_element(trials.begin(), trials.end(),
                           [](const PatternTrial& a, const PatternTrial& b) {
                             return std::pair(a.error, a.cost) < std::pair(b.error, b.cost);
                           });
}

std::optional<Calibration> calibrate(engine::Runner& runner,
                                     std::span<const engine::TokenId> tokens,
                                     const CalibrationOptions& options, const Progress& progress) {
  FATHOM_CHECK(!runner.policy().prefill && !runner.policy().filter && !runner.policy().keep);
  FATHOM_CHECK(tokens.size() <= runner.step_tokens());
  Calibrator calibrator(runner, options, progress);
  kv::SequenceCache cache = runner.new_cache();
  const engine::StepPart part{&cache, tokens, engine::Outputs::kNone, tokens.size()};
  runner.observe(&calibrator);
  try {
    runner.step({&part, 1});
  } catch (...) {
    runner.observe(nullptr);
    throw;
  }
  runner.observe(nullptr);
  if (calibrator.ended()) return std::nullopt;
  return calibrator.take();
}

std::string minference_table_text(const Calibration& calibration) {
  std::string text = "[";
  for (size_t layer = 0; layer < calibration.size(); ++layer) {
    text += layer == 0 ? "\n{" : ",\n{";
    for (size_t h = 0; h < calibration[layer].size(); ++h) {
      const PatternTrial& best = best_trial(calibration[layer][h]);
      text += fmt::format("{}\"{}\": [\"{}\", {}, {}, {:.4f}]", h == 0 ? "" : ", ", h,
                          pattern_name(best.head.pattern), best.head.first, best.head.second,
                          best.error);
    }
    text += "}";
  }
  return text + "\n]\n";
}

}  // namespace fathom::eval
