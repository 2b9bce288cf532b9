#include "kv/keep/pyramid.h"

#include <algorithm>
#include <cmath>

#include "kv/keep/scorers.h"

namespace fathom::kv {
namespace {

// A line from the first layer to the last, for tokens beside the window.
struct Line {
  double high, low;
  double at(size_t layer, size_t layers) const {
    if (layers < 2) return (high + low) / 2;
    const double step = (high - low) / static_cast<double>(layers - 1);
    return high - static_cast<double>(layer) * step;
  }
};

// Around `mean`, no higher than `most`.
Line line_of(double mean, double beta, double most) {
  Line line{2 * mean - mean / beta, mean / beta};
  if (line.high >= most) line = {most, 2 * mean - most};
  return line;
}

// The difference of rounded running sums: each value is within one of the line, and together they
// are as the line's sum, rounded.
size_t exact(const PyramidShape& s, size_t layer) {
  const double mean = static_cast<double>(s.budget - std::min(s.budget, s.window));
  const double most = static_cast<double>(s.prompt - std::min(s.prompt, s.window));
  const Line line = line_of(mean, s.beta, std::max(most, mean));
  double before = 0;
  for (size_t l = 0; l < layer; ++l) before += line.at(l, s.layers);
  const double after = before + line.at(layer, s.layers);
  const auto tokens = static_cast<size_t>(std::floor(after + 1e-6) - std::floor(before + 1e-6));
  return tokens + std::min(s.budget, s.window);
}

size_t authors(const PyramidShape& s, size_t layer) {
  const auto mean = static_cast<long long>(s.budget) - static_cast<long long>(s.window);
  const auto prompt = static_cast<long long>(s.prompt), window = static_cast<long long>(s.window);
  if (prompt < 2 * mean) return s.budget;
  auto low = static_cast<long long>(std::floor(static_cast<double>(mean) / s.beta));
  auto high = 2 * mean - low;
  if (high >= prompt - window) {
    high = prompt - window;
    low = 2 * mean - high;
  }
  const auto layers = static_cast<long long>(s.layers);
  const long long step = layers < 2 ? 0 : (high - low) / (layers - 1);
  return static_cast<size_t>(high - static_cast<long long>(layer) * step + window);
}

size_t kvpress(const PyramidShape& s, size_t layer) {
  const auto budget = static_cast<double>(s.budget);
  const auto most = static_cast<double>(s.prompt) - static_cast<double>(s.window);
  const Line line = line_of(budget, s.beta, most);
  if (!(line.high >= line.low && line.low >= static_cast<double>(s.window))) return s.budget;
  return static_cast<size_t>(std::nearbyint(line.at(layer, s.layers)));
}

class PyramidBudget final : public Budget {
 public:
  explicit PyramidBudget(PyramidOptions options) : options_(options) {}

  size_t head_limit(const KeepView& view, size_t kv_head) const override {
    const HeadView& head = view.heads[kv_head];
    PyramidShape shape{view.layers, options_.budget, options_.window, head.tokens, options_.beta};
    return pyramid_budget(shape, options_.rule, head.layer);
  }
  void share(const KeepView& view, std::span<const Candidates> heads,
             std::span<size_t> tokens) const override {
    for (size_t h = 0; h < heads.size(); ++h) {
      tokens[h] = std::min(heads[h].tokens, head_limit(view, h));
    }
  }

 private:
  PyramidOptions options_;
};

PyramidRule rule_of(std::string_view name) {
  if (name == "authors") return PyramidRule::kAuthors;
  return name == "kvpress" ? PyramidRule::kKvpress : PyramidRule::kExact;
}

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "tokens that a kv head keeps, on average over the layers"},
    {"beta", "20", "", 1, 1e6, "the highest layer keeps 1 / beta of that; 1: even"},
    {"rule", "exact", "exact|authors|kvpress", 0, 0, "how shares are rounded"},
    FATHOM_SCORER_PARAMETERS,
};

}  // namespace

size_t pyramid_budget(const PyramidShape& shape, PyramidRule rule, size_t layer) {
  if (shape.prompt <= shape.budget) return std::max(shape.prompt, shape.budget);
  if (rule == PyramidRule::kAuthors) return authors(shape, layer);
  return rule == PyramidRule::kKvpress ? kvpress(shape, layer) : exact(shape, layer);
}

BudgetPtr make_pyramid_budget(PyramidOptions options) {
  return std::make_unique<PyramidBudget>(options);
}

MethodInfo pyramid_info() {
  return {.stage = Stage::kKeep,
          .name = "pyramid",
          .summary = "any scorer, lower layers keep more than higher ones",
          .paper = "PyramidKV, 2024, arXiv:2406.02069",
          .needs = "what its scorer needs",
          .cost = "the scorer's",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_pyramid(const Parameters& p) {
  const PyramidOptions options{p.count("budget"), p.count("window"), p.number("beta"),
                               rule_of(p.text("rule"))};
  return make_budgeted(make_scorer(p), make_pyramid_budget(options), forced_tokens(p));
}

}  // namespace fathom::kv
