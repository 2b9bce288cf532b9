#include "eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "eval/lockstep.h"

namespace fathom::eval {
namespace {

using engine::TokenId;

// ln of the sum of e^logit.
double log_sum(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(double(l) - top);
  return std::log(sum) + top;
}

constexpr size_t kTop = 10, kLikely = 100;

// The most likely tokens, the likeliest first; ties go to the lowest id.
std::vector<TokenId> top_of(std::span<const float> logits, size_t count) {
  std::vector<TokenId> top;
  const size_t most = std::min(count, logits.size());
  const auto before = [&](TokenId a, TokenId b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  };
  for (size_t v = 0; v < logits.size(); ++v) {
    const auto id = static_cast<TokenId>(v);
    if (top.size() == most && !before(id, top.back())) continue;
    if (top.size() == most) top.pop_back();
    top.insert(std::upper_bound(top.begin(), top.end(), id, before), id);
  }
  return top;
}

// `a`: the tokens that p finds most likely, more than kTop of them where there are.
void compare_tops(std::span<const float> p, std::span<const float> q, std::span<const TokenId> a,
                  TokenDivergence& out) {
  const std::vector<TokenId> b = top_of(q, kTop);
  a = a.first(b.size());
  size_t both = 0;
  for (const TokenId id : a) both += static_cast<size_t>(std::count(b.begin(), b.end(), id));
  out.top10 = double(both) / double(a.size());
  out.same_top = a[0] == b[0];
  const auto logit = [&](size_t i) { return p[static_cast<size_t>(a[i])]; };
  out.close = a.size() > 1 && logit(0) - logit(1) < 1;
}

double mean_of(std::span<const float> logits) {
  double sum = 0;
  for (const float l : logits) sum += l;
  return sum / double(logits.size());
}

// Logits are defined up to a constant only. `log_shift`: what ln q - ln p is beyond the logits'
// difference.
void compare_values(std::span<const float> p, std::span<const float> q,
                    std::span<const TokenId> likely, double log_shift, TokenDivergence& out) {
  const double mean_p = mean_of(p), mean_q = mean_of(q);
  double error = 0, size = 0;
  for (size_t v = 0; v < p.size(); ++v) {
    const double zp = p[v] - mean_p, zq = q[v] - mean_q;
    error += (zq - zp) * (zq - zp);
    size += zp * zp;
  }
  out.logit_error = size > 0 ? std::sqrt(error / size) : error > 0 ? 1 : 0;
  for (const TokenId id : likely) {
    const double moved = double(q[static_cast<size_t>(id)]) - p[static_cast<size_t>(id)];
    out.logit_most = std::max(out.logit_most, std::abs(moved - (mean_q - mean_p)));
    out.top_square += (moved + log_shift) * (moved + log_shift) / double(likely.size());
  }
}

struct WindowScores {
  std::vector<TokenDivergence> tokens;
  std::vector<double> recalls;
  AttentionLosses losses;
  size_t common = 0;  // greedy tokens
};

constexpr size_t kRecallEvery = 7;  // steps; shares no factor with the intervals of policies

// Where scoring begins.
size_t first_scored(const ForcedText& window, const DivergenceOptions& options) {
  if (options.positions == PositionSet::kAnswer) return window.answer - 1;
  const size_t n = window.tokens.size();
  return options.positions == PositionSet::kDecode ? n - options.decode_tokens - 1 : n / 2;
}

WindowScores score_window(const Subject& reference, const Subject& other, const ForcedText& window,
                          const DivergenceOptions& options) {
  Lockstep pair(reference, other);
  for (const Subject* s : {&reference, &other}) s->marks->gold = window.gold;
  const std::span<const TokenId> tokens(window.tokens);
  const bool prefill = options.positions == PositionSet::kPrefill;
  const size_t first = first_scored(window, options);
  const size_t prompt = options.positions == PositionSet::kAnswer ? window.prompt : first;
  pair.read(tokens.first(prompt));
  pair.append(tokens.subspan(prompt, first - prompt));
  WindowScores out;
  if (options.positions == PositionSet::kDecode && options.greedy_tokens > 0) {
    out.common = pair.common_prefix(tokens[first], options.greedy_tokens);
  }
  for (size_t at = first; at + 1 < tokens.size();) {
    const size_t n = prefill ? std::min(pair.step_tokens(), tokens.size() - 1 - at) : 1;
    const bool recorded = !prefill && (at - first) % kRecallEvery == 0;
    pair.record(recorded);
    pair.score(tokens.subspan(at, n), tokens.subspan(at + 1, n), out.tokens);
    if (recorded) {
      if (const auto recall = pair.recall(out.losses)) out.recalls.push_back(*recall);
    }
    at += n;
  }
  pair.record(false);
  return out;
}

template <class Value>
double mean_of(const std::vector<TokenDivergence>& tokens, Value value) {
  double sum = 0;
  for (const TokenDivergence& t : tokens) sum += value(t);
  return sum / double(tokens.size());
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
  const std::vector<TokenId> likely = top_of(p, kLikely);
  compare_tops(p, q, likely, out);
  compare_values(p, q, likely, log_p - log_q, out);
  return out;
}

double TokenDivergence::delta_p() const { return std::exp(-nll_q) - std::exp(-nll_p); }

std::string_view position_set_name(PositionSet set) {
  constexpr std::string_view kNames[] = {"prefill", "decode", "answer"};
  return kNames[static_cast<size_t>(set)];
}

double Divergence::perplexity() const { return std::exp(nll.value); }

namespace {

template <class Value>
std::vector<double> sorted_values(const std::vector<TokenDivergence>& tokens, Value value) {
  std::vector<double> out;
  for (const TokenDivergence& t : tokens) out.push_back(value(t));
  std::sort(out.begin(), out.end());
  return out;
}

// Of single tokens; what lies on windows is there already.
void add_token_figures(const std::vector<TokenDivergence>& all, Divergence& out) {
  using T = const TokenDivergence&;
  out.tokens = all.size();
  out.delta_p_rms = std::sqrt(mean_of(all, [](T t) { return t.delta_p() * t.delta_p(); }));
  const auto deltas = sorted_values(all, [](T t) { return t.delta_p(); });
  for (const double q : kDeltaQuantiles) out.delta_ps.push_back(quantile(deltas, q));
  out.log_p_rms = std::sqrt(mean_of(all, [](T t) { return t.top_square; }));
  for (T t : all) out.logit_most = std::max(out.logit_most, t.logit_most);
  const auto kl = sorted_values(all, [](T t) { return t.kl; });
  out.kl_median = quantile(kl, 0.5);
  out.kl_p90 = quantile(kl, 0.9);
  out.kl_p99 = quantile(kl, 0.99);
  out.kl_p999 = quantile(kl, 0.999);
  out.kl_max = kl.back();
  size_t same = 0;
  for (T t : all) {
    out.close += t.close;
    same += t.close && t.same_top;
  }
  if (out.close > 0) out.same_top_close = double(same) / double(out.close);
}

void check(const ForcedText& w, const DivergenceOptions& options) {
  if (options.positions == PositionSet::kAnswer) {
    FATHOM_CHECK(w.prompt >= 1 && w.answer > w.prompt && w.answer < w.tokens.size());
  } else {
    FATHOM_CHECK(w.tokens.size() >= 4 && w.tokens.size() > options.decode_tokens);
  }
}

// As many greedy tokens as the context has room for behind every window.
DivergenceOptions fit(const Subject& subject, std::span<const ForcedText> windows,
                      DivergenceOptions options) {
  for (const ForcedText& w : windows) {
    const size_t read = first_scored(w, options) + 1, context = subject.engine->context();
    options.greedy_tokens = std::min(options.greedy_tokens, context > read ? context - read : 0);
  }
  return options;
}

std::optional<GreedyAgreement> greedy_agreement(const std::vector<double>& common, size_t tokens) {
  if (tokens == 0) return std::nullopt;
  const auto windows = double(common.size());
  const auto same = double(std::count(common.begin(), common.end(), double(tokens)));
  return GreedyAgreement{tokens, bootstrap_mean(common), {same / windows, wilson(same, windows)}};
}

}  // namespace

Divergence measure_divergence(const Subject& reference, const Subject& other,
                              std::span<const ForcedText> windows, const DivergenceOptions& asked,
                              const Progress& progress) {
  const DivergenceOptions options = fit(reference, windows, asked);
  std::vector<double> kl, top, top10, difference, nll, delta, logits, recall, common;  // of windows
  std::vector<TokenDivergence> all;
  AttentionLosses losses;
  using T = const TokenDivergence&;
  for (const ForcedText& window : windows) {
    check(window, options);
    const WindowScores w = score_window(reference, other, window, options);
    kl.push_back(mean_of(w.tokens, [](T t) { return t.kl; }));
    top.push_back(mean_of(w.tokens, [](T t) { return double(t.same_top); }));
    top10.push_back(mean_of(w.tokens, [](T t) { return t.top10; }));
    difference.push_back(mean_of(w.tokens, [](T t) { return t.nll_q - t.nll_p; }));
    nll.push_back(mean_of(w.tokens, [](T t) { return t.nll_q; }));
    delta.push_back(mean_of(w.tokens, [](T t) { return t.delta_p(); }));
    logits.push_back(mean_of(w.tokens, [](T t) { return t.logit_error; }));
    if (!w.recalls.empty()) {
      double sum = 0;
      for (const double r : w.recalls) sum += r;
      recall.push_back(sum / double(w.recalls.size()));
    }
    all.insert(all.end(), w.tokens.begin(), w.tokens.end());
    losses.add(w.losses);
    common.push_back(double(w.common));
    if (!report(progress, {"comparing", kl.size(), windows.size(), "windows"})) break;
  }
  Divergence out;
  out.windows = kl.size();
  if (all.empty()) return out;
  out.kl = bootstrap_mean(kl);
  out.same_top = bootstrap_mean(top);
  out.top10 = bootstrap_mean(top10);
  out.nll_difference = bootstrap_mean(difference);
  out.nll = bootstrap_mean(nll);
  out.delta_p = bootstrap_mean(delta);
  out.logit_error = bootstrap_mean(logits);
  out.reference_perplexity = std::exp(out.nll.value - out.nll_difference.value);
  if (!recall.empty()) out.mass_recall = bootstrap_mean(recall);
  if (!losses.empty()) out.attention = losses.all();
  out.heads = losses.heads();
  if (options.positions == PositionSet::kDecode) {
    out.greedy = greedy_agreement(common, options.greedy_tokens);
  }
  add_token_figures(all, out);
  return out;
}

}  // namespace fathom::eval
