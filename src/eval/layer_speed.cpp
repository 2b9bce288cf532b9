#include "eval/layer_speed.h"

#include <algorithm>

#include "base/checked.h"
#include "base/stopwatch.h"
#include "eval/random.h"
#include "kernel/attention.h"
#include "model/rope.h"

namespace fathom::eval {
namespace {

using kernel::kPageTokens;

constexpr size_t kPiece = 512;     // tokens that are read at once
constexpr size_t kChosen = 1024;   // the same where a policy chooses for them
constexpr size_t kObserved = 128;  // the same where received attention is counted besides
constexpr size_t kSteps = 8;
constexpr double kEnough = 0.05;               // seconds of a piece that is timed once only
constexpr size_t kPassed = size_t{256} << 20;  // bytes of cache between two visits of a layer

std::vector<float> by_lot(size_t n, uint64_t seed) {
  std::vector<float> out(n);
  Random random(seed);
  for (float& x : out) x = static_cast<float>(3.4641 * (random.unit() - 0.5));  // variance 1
  return out;
}

}  // namespace

// A cache of a few layers under one policy.
class LayerRun {
 public:
  // `alike`: layers of this kind in the model.
  LayerRun(LayerTimer& timer, engine::Engine& engine, const LayerPlan& plan, size_t alike,
           bool windowed)
      : timer_(timer),
        runner_(engine.runner()),
        plan_(plan),
        config_(runner_.config()),
        rope_(windowed && config_.has_local_rope ? config_.local_rope : config_.rope, plan.length),
        layers_(std::clamp<size_t>(kPassed / layer_bytes(), 1, alike)),
        keep_(runner_.threads(), observes() ? runner_.policy().keep : nullptr, layers_),
        pages_(SIZE_MAX / 2),
        cache_(pages_, runner_.policy().store, {layers_, config_.kv_heads, config_.head_dim}) {
    layer_ = {0,
              config_.heads,
              timer.q_.data(),
              timer.k_.data(),
              timer.v_.data(),
              timer.out_.data(),
              config_.attention_scale,
              config_.attention_soft_cap,
              windowed ? config_.window : 0,
              {rope_.frequencies(), rope_.magnitude(), config_.rope.style}};
  }

  LayerSpeed run(const std::function<bool()>& go_on) {
    LayerSpeed out;
    const size_t most = plan_.held > 0 ? plan_.held : plan_.length;
    if (plan_.held > 0) leave_out();
    const size_t places[] = {down(most / 4), down(3 * most / 4)};
    for (const size_t behind : places) {
      fill(behind);
      if (!go_on()) return {};
      add_piece(behind, out);
    }
    if (attended_ > 0) out.density = chosen_ / attended_;
    fill(std::max<size_t>(1, plan_.behind));
    if (cache_.length() > plan_.behind) cache_.truncate(std::max<size_t>(1, plan_.behind));
    if (!go_on()) return {};
    out.step = time_steps();
    return out;
  }

 private:
  // About: in 16-bit floats, and of what a step has behind it.
  size_t layer_bytes() const {
    return std::max<size_t>(1, plan_.behind) * config_.kv_heads * config_.head_dim * 4;
  }

  static size_t down(size_t tokens) { return tokens / kPageTokens * kPageTokens; }

  bool observes() const { return runner_.policy().keep && runner_.policy().keep->needs().received; }

  size_t piece() const {
    const size_t most = observes() ? kObserved : runner_.policy().prefill ? kChosen : kPiece;
    return std::min({most, runner_.step_tokens(), plan_.length});
  }

  // What is read behind tokens that were left out is read densely.
  void leave_out() {
    fill(kPageTokens);
    std::vector<int32_t> kept(kPageTokens - 1);
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = static_cast<int32_t>(i);
    for (size_t i = 0; i < layers_ * config_.kv_heads; ++i) {
      cache_.keep(i / config_.kv_heads, i % config_.kv_heads, kept);
    }
  }

  void fill(size_t to) {
    const size_t stride = config_.kv_heads * config_.head_dim;
    while (cache_.length() < to) {
      const size_t first = cache_.length(), n = std::min(kPiece, to - first);
      cache_.extend(n);
      runner_.threads().run(layers_ * config_.kv_heads, [&](size_t i, int) {
        const size_t h = i % config_.kv_heads, at = h * config_.head_dim;
        cache_.write(i / config_.kv_heads, h, first,
                     {timer_.k_.data() + at, timer_.v_.data() + at, stride, n});
      });
      cache_.seal(runner_.threads());
    }
  }

  struct Took {
    double seconds, attend;  // attend: of these
  };

  // Reads tokens behind what is there, which is left as it was.
  Took read(size_t tokens) {
    const size_t before = cache_.length();
    cache_.extend(tokens);
    const kv::SequenceRows rows{&cache_, 0, tokens, plan_.length};
    runner_.attender().reset_account();
    const Stopwatch watch;
    runner_.attender().run(layer_, {&rows, 1});
    keep_.observe(layer_, {&rows, 1});
    const double seconds = watch.seconds();
    cache_.truncate(before);
    const kv::PrefillAccount& account = runner_.attender().account();
    return {seconds, account.causal > 0 ? account.attend_seconds : seconds};
  }

  // Half of the text's time: the pieces of its two halves count alike.
  void add_piece(size_t behind, LayerSpeed& out) {
    const size_t n = piece();
    read(n);
    Took least = read(n);
    if (least.seconds < kEnough) {
      if (const Took again = read(n); again.seconds < least.seconds) least = again;
    }
    const double density = runner_.attender().account().density();
    out.attend += least.attend / double(2 * n);
    out.choose += (least.seconds - least.attend) / double(2 * n);
    const double weight = double(behind + n / 2);
    attended_ += weight;
    chosen_ += weight * density;
  }

  // Of one layer; all of them in turn, as a step of the model visits them.
  double time_steps() {
    std::vector<double> took;
    for (size_t i = 0; i <= kSteps; ++i) {
      cache_.extend(1);
      const kv::SequenceRows rows{&cache_, 0, 1, 0};
      const Stopwatch watch;
      for (layer_.layer = 0; layer_.layer < layers_; ++layer_.layer) {
        runner_.attender().run(layer_, {&rows, 1});
        keep_.observe(layer_, {&rows, 1});
      }
      if (i > 0) took.push_back(watch.seconds() / double(layers_));
    }
    std::sort(took.begin(), took.end());
    return took[took.size() / 4];
  }

  LayerTimer& timer_;
  engine::Runner& runner_;
  const LayerPlan& plan_;
  const model::Config& config_;
  model::Rope rope_;
  size_t layers_;
  kv::KeepStage keep_;
  kv::PagePool pages_;
  kv::SequenceCache cache_;
  kv::AttendLayer layer_;
  double attended_ = 0, chosen_ = 0;  // pairs, of a query
};

LayerTimer::LayerTimer(const model::Config& c) {
  q_ = by_lot(kChosen * c.heads * c.head_dim, 1);
  k_ = by_lot(kChosen * c.kv_heads * c.head_dim, 2);
  v_ = by_lot(kChosen * c.kv_heads * c.head_dim, 3);
  out_.resize(q_.size());
}

LayerSpeed LayerTimer::time(engine::Engine& engine, const LayerPlan& plan,
                            const std::function<bool()>& go_on) {
  const model::Config& c = engine.model().config();
  size_t windowed = 0;
  for (size_t l = 0; l < c.layers; ++l) windowed += c.windowed(l);
  LayerSpeed all;
  all.density = 0;
  double weights = 0;
  for (const bool window : {false, true}) {
    const size_t layers = window ? windowed : c.layers - windowed;
    if (layers == 0) continue;
    const LayerSpeed one = LayerRun(*this, engine, plan, layers, window).run(go_on);
    all.choose += double(layers) * one.choose;
    all.attend += double(layers) * one.attend;
    all.step += double(layers) * one.step;
    all.density += double(layers) * one.attend * one.density;
    weights += double(layers) * one.attend;
  }
  all.density = weights > 0 ? all.density / weights : 1;
  return all;
}

}  // namespace fathom::eval
