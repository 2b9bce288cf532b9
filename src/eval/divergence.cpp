#include "eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/progress.h"

namespace fathom::eval {
namespace {

using engine::Engine;
using engine::Outputs;
using engine::TokenId;

// ln of the sum of e^logit.
double log_sum(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(double(l) - top);
  return std::log(sum) + top;
}

// The two engines' caches over one window.
class Lockstep {
 public:
  Lockstep(Engine& reference, Engine& other)
      : runners_{&reference.runner(), &other.runner()},
        caches_{reference.runner().new_cache(), other.runner().new_cache()},
        vocab_(reference.runner().config().vocab) {}

  void read(std::span<const TokenId> tokens) {
    if (tokens.empty()) return;
    for (size_t i = 0; i < 2; ++i) runners_[i]->read(caches_[i], tokens);
  }

  // Reads tokens in one step; each predicts the one at the same place of `next`.
  void score(std::span<const TokenId> tokens, std::span<const TokenId> next,
             std::vector<TokenDivergence>& out) {
    std::span<const float> logits[2];
    for (size_t i = 0; i < 2; ++i) {
      const engine::StepPart part{&caches_[i], tokens, Outputs::kAll};
      logits[i] = runners_[i]->step({&part, 1});
    }
    const size_t first = out.size();
    out.resize(first + tokens.size());
    runners_[0]->threads().run(tokens.size(), [&](size_t t, int) {
      out[first + t] = compare_logits(logits[0].subspan(t * vocab_, vocab_),
                                      logits[1].subspan(t * vocab_, vocab_), next[t]);
    });
  }

  // As many tokens as 64 MiB of logits hold.
  size_t step_tokens() const {
    const size_t batch =
        std::min(runners_[0]->options().batch_tokens, runners_[1]->options().batch_tokens);
    return std::max<size_t>(1, std::min(batch, (size_t{16} << 20) / vocab_));
  }

 private:
  engine::Runner* runners_[2];
  kv::SequenceCache caches_[2];
  size_t vocab_;
};

std::vector<TokenDivergence> score_window(Engine& reference, Engine& other,
                                          std::span<const TokenId> window,
                                          const DivergenceOptions& options) {
  Lockstep pair(reference, other);
  const bool decode = options.positions == PositionSet::kDecode;
  const size_t first = decode ? window.size() - options.decode_tokens - 1 : window.size() / 2;
  pair.read(window.first(first));
  std::vector<TokenDivergence> out;
  for (size_t at = first; at + 1 < window.size();) {
    const size_t n = decode ? 1 : std::min(pair.step_tokens(), window.size() - 1 - at);
    pair.score(window.subspan(at, n), window.subspan(at + 1, n), out);
    at += n;
  }
  return out;
}

template <class Value>
double mean_of(const std::vector<TokenDivergence>& tokens, Value value) {
  double sum = 0;
  for (const TokenDivergence& t : tokens) sum += value(t);
  return sum / double(tokens.size());
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<size_t>(q * double(sorted.size() - 1))];
}

}  // namespace

TokenDivergence compare_logits(std::span<const float> p, std::span<const float> q, TokenId token) {
  FATHOM_DCHECK(p.size() == q.size() && static_cast<size_t>(token) < p.size());
  const double log_p = log_sum(p), log_q = log_sum(q);
  TokenDivergence out;
  for (size_t v = 0; v < p.size(); ++v) {
    const double lp = p[v] - log_p;
    const double weight = std::exp(lp);
    if (weight > 0) out.kl += weight * (lp - (q[v] - log_q));
  }
  const auto t = static_cast<size_t>(token);
  out.nll_p = log_p - p[t];
  out.nll_q = log_q - q[t];
  out.same_top = std::max_element(p.begin(), p.end()) - p.begin() ==
                 std::max_element(q.begin(), q.end()) - q.begin();
  return out;
}

Divergence measure_divergence(Engine& reference, Engine& other,
                              std::span<const std::vector<TokenId>> windows,
                              const DivergenceOptions& options, const Progress& progress) {
  std::vector<double> kl, top, nll;  // of windows
  std::vector<TokenDivergence> all;
  for (const std::vector<TokenId>& window : windows) {
    FATHOM_CHECK(window.size() >= 4 && window.size() > options.decode_tokens);
    const auto tokens = score_window(reference, other, window, options);
    kl.push_back(mean_of(tokens, [](const TokenDivergence& t) { return t.kl; }));
    top.push_back(mean_of(tokens, [](const TokenDivergence& t) { return double(t.same_top); }));
    nll.push_back(mean_of(tokens, [](const TokenDivergence& t) { return t.nll_q - t.nll_p; }));
    all.insert(all.end(), tokens.begin(), tokens.end());
    if (!report(progress, {"comparing", kl.size(), windows.size(), "windows"})) break;
  }
  Divergence out;
  out.windows = kl.size();
  out.tokens = all.size();
  if (all.empty()) return out;
  out.kl = bootstrap_mean(kl);
  out.same_top = bootstrap_mean(top);
  out.nll_difference = bootstrap_mean(nll);
  out.reference_perplexity =
      std::exp(mean_of(all, [](const TokenDivergence& t) { return t.nll_p; }));
  out.delta_p_rms = std::sqrt(mean_of(all, [](const TokenDivergence& t) {
    const double d = std::exp(-t.nll_q) - std::exp(-t.nll_p);
    return d * d;
  }));
  std::vector<double> sorted;
  for (const TokenDivergence& t : all) sorted.push_back(t.kl);
  std::sort(sorted.begin(), sorted.end());
  out.kl_median = quantile(sorted, 0.5);
  out.kl_p99 = quantile(sorted, 0.99);
  out.kl_max = sorted.back();
  return out;
}

}  // namespace fathom::eval
