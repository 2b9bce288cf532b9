// From logits to the next token: penalties, filters, temperature, and the dice.
//
// Filters run in the order that llama.cpp uses by default: penalties and biases, top-k, typical
// (arXiv:2202.00666), top-p (arXiv:1904.09751), min-p (arXiv:2407.01082), temperature. Temperature 0
// takes the most likely token after penalties, ties to the lower id.
//
// The dice for the n-th token of a sequence are a function of (seed, n): the same seed gives the
// same text, however the tokens were computed. Not thread-safe; one a sequence.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace fathom::decode {

using TokenId = int32_t;

struct SamplingOptions {
  float temperature = 0.0f;  // 0: greedy
  int top_k = 40;            // 0: all
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  float typical_p = 1.0f;    // 1: off
  float repeat_penalty = 1.0f;     // divides positive, multiplies negative logits; 1: off
  float frequency_penalty = 0.0f;  // subtracted once an occurrence
  float presence_penalty = 0.0f;   // subtracted if there is any
  int repeat_last_n = 64;          // tokens that penalties look back on; -1: all
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;

  // Throws Error(kUsage) naming the option that is out of its range.
  void check() const;
};

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
