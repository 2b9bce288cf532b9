#include "eval/recommend_speed.h"

#include <algorithm>

#include "base/stopwatch.h"

namespace fathom::eval {
namespace {

constexpr size_t kFirst = 2048;            // tokens that timing is timed with
constexpr size_t kMost = size_t{1} << 16;  // beyond this, time is in proportion to the length

// Whether a method reads what stands out in a text, not so many tokens of it.
bool by_content(const Candidate& c) { return c.prefill != "dense" && c.prefill_share == 0; }

}  // namespace

FarSpeed::FarSpeed(const engine::Engine& engine, size_t length, double seconds, const GoOn& go_on)
    : engine_(engine), length_(length), timed_(length), timer_(engine.model().config()) {
  const size_t first = std::min(length, kFirst);
  const Stopwatch watch;
  time_at({}, first, go_on);
  const double fits = double(first) * std::max(1.0, seconds / watch.seconds());
  timed_ = std::min({length, kMost, static_cast<size_t>(std::min(fits, 1e9))});
}

LayerSpeed FarSpeed::time_at(const Candidate& candidate, size_t length, const GoOn& go_on) {
  const auto engine = engine_.with_policy(candidate.line(length), length);
  const auto& keep = engine->runner().policy().keep;
  LayerPlan plan{.length = length, .behind = length, .held = 0};
  if (keep) plan.behind = kept_tokens(candidate, length);
  if (keep && keep->bound() > 0) {
    plan.held = engine::held_tokens(engine_.model().config(), engine->runner().policy(), length,
                                    engine->runner().step_tokens());
  }
  return timer_.time(*engine, plan, go_on);
}

std::optional<LayerSpeed> FarSpeed::time(const Candidate& candidate, const GoOn& go_on) {
  const LayerSpeed out = time_at(candidate, timed_, go_on);
  return out.step > 0 ? std::optional(out) : std::nullopt;
}

double FarSpeed::read_seconds(const Candidate& candidate, const LayerSpeed& speed, double rest,
                              double density) const {
  const double less = by_content(candidate) ? std::min(1.0, density / speed.density) : 1;
  return double(length_) * (rest + factor() * (speed.choose + less * speed.attend));
}

double FarSpeed::step_seconds(const LayerSpeed& speed, double rest) const {
  return rest + factor() * speed.step;
}

}  // namespace fathom::eval
