// From logits to the next token: penalties, filters, temperature, and the dice.
//
// Filters run in the order that llama.cpp uses by default: penalties and biases, top-k, typical
// (arXiv:2202.00666), top-p (arXiv:1904.09751), min-p (arXiv:2407.01082), temperature. Temperature
// 0 takes the most likely token after penalties, ties to the lower id.
//
// The dice for the n-th token of a sequence are a function of (seed, n): the same seed gives the
// same text, however the tokens were computed. Not thread-safe; one a sequence.
#pragma once

#include <fathom/options.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace fathom::decode {

using TokenId = int32_t;

using fathom::SamplingOptions;

// Throws Error(kUsage) naming the option that is out of its range.
void check(const SamplingOptions& options);

class Sampler {
 public:
  explicit Sampler(SamplingOptions options);

  // Notes a token of the sequence (prompt or generated): what penalties see.
  void accept(TokenId token);
  // Chooses the next token; changes `logits`. Does not accept() it.
  TokenId sample(std::span<float> logits);
  // Never chosen from now on (--ignore-eos).
  void forbid(TokenId token);

  const SamplingOptions& options() const { return options_; }

 private:
  struct Candidate {
    TokenId id;
    float logit;
    float p;
  };
  void adjust(std::span<float> logits) const;
  void penalize(std::span<float> logits) const;
  void collect(std::span<const float> logits);
  void soften();
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  double roll() const;

  SamplingOptions options_;
  std::vector<TokenId> forbidden_;
  std::vector<TokenId> history_;
  std::vector<Candidate> candidates_;  // in descending order of logit
  uint64_t drawn_ = 0;
};

}  // namespace fathom::decode
