#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"

namespace fathom::decode {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): a good 64-bit mix of a counter.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

TokenId argmax(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void require(bool ok, std::string_view option, double value, std::string_view range) {
  if (!ok) throw usage_error(option, "{} is not {}", value, range);
}

}  // namespace

void check(const SamplingOptions& o) {
  require(o.temperature >= 0 && std::isfinite(o.temperature), "--temp", o.temperature, "0 or more");
  require(o.top_k >= 0, "--top-k", o.top_k, "0 or more");
  require(o.top_p > 0 && o.top_p <= 1, "--top-p", o.top_p, "above 0 and at most 1");
  require(o.min_p >= 0 && o.min_p <= 1, "--min-p", o.min_p, "between 0 and 1");
  require(o.typical_p > 0 && o.typical_p <= 1, "--typical", o.typical_p, "above 0 and at most 1");
  require(o.repeat_penalty > 0 && std::isfinite(o.repeat_penalty), "--repeat-penalty",
          o.repeat_penalty, "above 0");
  require(std::isfinite(o.frequency_penalty), "--frequency-penalty", o.frequency_penalty,
          "a number");
  require(std::isfinite(o.presence_penalty), "--presence-penalty", o.presence_penalty, "a number");
  require(o.repeat_last_n >= -1, "--repeat-last-n", o.repeat_last_n, "-1 or more");
}

Sampler::Sampler(SamplingOptions options) : options_(std::move(options)) { check(options_); }

void Sampler::accept(TokenId token) { history_.push_back(token); }

void Sampler::forbid(TokenId token) { forbidden_.push_back(token); }

TokenId Sampler::sample(std::span<float> logits) {
  adjust(logits);
  if (options_.temperature == 0.0f) {
    ++drawn_;
    return argmax(logits);
  }
  collect(logits);
  keep_typical();
  keep_top_p();
  keep_min_p();
  for (Candidate& c : candidates_) c.logit /= options_.temperature;
  soften();
  double left = roll();
  ++drawn_;
  for (const Candidate& c : candidates_) {
    left -= c.p;
    if (left < 0) return c.id;
  }
  return candidates_.back().id;
}

void Sampler::adjust(std::span<float> logits) const {
  for (const auto& [id, bias] : options_.logit_bias) {
    if (id >= 0 && static_cast<size_t>(id) < logits.size()) logits[static_cast<size_t>(id)] += bias;
  }
  for (const TokenId id : forbidden_) {
    logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  }
  penalize(logits);
}

void Sampler::penalize(std::span<float> logits) const {
  const SamplingOptions& o = options_;
  if (o.repeat_penalty == 1.0f && o.frequency_penalty == 0 && o.presence_penalty == 0) return;
  const size_t last = o.repeat_last_n < 0 ? history_.size() : static_cast<size_t>(o.repeat_last_n);
  std::unordered_map<TokenId, int> counts;
  for (size_t i = history_.size() - std::min(last, history_.size()); i < history_.size(); ++i) {
    ++counts[history_[i]];
  }
  for (const auto& [id, count] : counts) {
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit <= 0 ? logit * o.repeat_penalty : logit / o.repeat_penalty;
    logit -= static_cast<float>(count) * o.frequency_penalty + o.presence_penalty;
  }
}

// The top k, or all, in descending order; equal logits by ascending id.
void Sampler::collect(std::span<const float> logits) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -std::numeric_limits<float>::infinity()) {
      candidates_.push_back({static_cast<TokenId>(i), logits[i], 0.0f});
    }
  }
  if (candidates_.empty()) candidates_.push_back({argmax(logits), 0.0f, 1.0f});
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  const size_t k = options_.top_k > 0
                       ? std::min(candidates_.size(), static_cast<size_t>(options_.top_k))
                       : candidates_.size();
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                    candidates_.end(), before);
  candidates_.resize(k);
  soften();
}

// Probabilities of the candidates that are left.
void Sampler::soften() {
  double sum = 0;
  const float top = candidates_.front().logit;
  for (Candidate& c : candidates_) sum += c.p = std::exp(c.logit - top);
  for (Candidate& c : candidates_) c.p = static_cast<float>(c.p / sum);
}

// Tokens whose surprise is nearest to the expected one, until they hold typical_p.
void Sampler::keep_typical() {
  if (options_.typical_p >= 1.0f) return;
  double entropy = 0;
  for (const Candidate& c : candidates_) entropy -= c.p > 0 ? c.p * std::log(c.p) : 0.0;
  const auto distance = [&](const Candidate& c) { return std::fabs(-std::log(c.p) - entropy); };
  std::stable_sort(
      candidates_.begin(), candidates_.end(),
      [&](const Candidate& a, const Candidate& b) { return distance(a) < distance(b); });
  double sum = 0;
  size_t keep = 0;
  while (keep < candidates_.size() && sum < options_.typical_p) sum += candidates_[keep++].p;
  candidates_.resize(keep);
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  soften();
}

void Sampler::keep_top_p() {
  if (options_.top_p >= 1.0f) return;
  double sum = 0;
  size_t keep = 0;
  while (keep < candidates_.size() && sum < options_.top_p) sum += candidates_[keep++].p;
  candidates_.resize(keep);
  soften();
}

void Sampler::keep_min_p() {
  const float floor = options_.min_p * candidates_.front().p;
  while (candidates_.size() > 1 && candidates_.back().p < floor) candidates_.pop_back();
}

double Sampler::roll() const {
  const uint64_t bits = mix(mix(options_.seed) ^ mix(drawn_ + 1));
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace fathom::decode
