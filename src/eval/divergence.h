// How far a policy's predictions are from dense attention's: same weights, same forced tokens, two
// caches in lockstep. Natural logarithms, over the whole vocabulary, in double.
//
// Three sets of positions, never mixed: prefill scores the second half of a window from the logits
// of reading it; decode reads the window and then forces further true tokens one by one through the
// decode path; answer does so with the right answers of questions. On prose nearly every token can
// be told from its neighbours, so that a small divergence here does not show that facts are still
// found: see the tasks for that.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "eval/attention_output.h"
#include "eval/controls.h"
#include "eval/statistics.h"

namespace fathom::eval {

// One position: p is the reference's distribution, q the other's.
struct TokenDivergence {
  double kl = 0;                // sum p (ln p - ln q)
  double nll_p = 0, nll_q = 0;  // of the true token
  bool same_top = true;         // both find the same token most likely; ties go to the lowest id
  bool close = false;           // p's two most likely tokens are less than 1 nat apart
  double top10 = 1;             // share of p's ten most likely tokens that are among q's
  // Of logits less their mean over the vocabulary: |q - p| / |p|, and the most that one of p's 100
  // most likely tokens moves.
  double logit_error = 0, logit_most = 0;
  double top_square = 0;  // mean square of ln q - ln p over these 100

  double delta_p() const;  // q - p of the true token
};
// REQUIRES: both [vocab], token in range.
TokenDivergence compare_logits(std::span<const float> p, std::span<const float> q,
                               engine::TokenId token);

enum class PositionSet : uint8_t { kPrefill, kDecode, kAnswer };
std::string_view position_set_name(PositionSet set);

// Tokens that both engines are made to read.
struct ForcedText {
  std::vector<engine::TokenId> tokens;
  // Of kAnswer: where the prompt, at whose end KEEP decides, ends; and where the answer begins,
  // whose tokens are scored. What lies between is a question.
  size_t prompt = 0, answer = 0;
  std::vector<Span> gold = {};  // positions of what the answer needs
};

// Alike on both sides: noise. A heavy tail on the left: what the text says is less likely.
inline constexpr double kDeltaQuantiles[] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};

// What both write behind the same texts, each token the most likely one, compared until they
// differ.
struct GreedyAgreement {
  size_t tokens = 0;   // written at the most
  Estimate common;     // length of the common prefix, mean; interval over windows
  Estimate identical;  // share of windows where all are the same; Wilson's interval
};

struct Divergence {
  size_t windows = 0, tokens = 0;
  Estimate kl;  // mean; intervals over windows
  // Of tokens.
  double kl_median = 0, kl_p90 = 0, kl_p99 = 0, kl_p999 = 0, kl_max = 0;
  Estimate same_top;                // share
  Estimate top10;                   // share of the ten most likely that both have
  size_t close = 0;                 // positions where the reference wavers,
  double same_top_close = 1;        // and same_top there
  Estimate nll_difference;          // other - reference: ln of the perplexities' ratio
  Estimate nll;                     // of the other: ln of its perplexity
  Estimate delta_p;                 // of the true token's probability, q - p
  double delta_p_rms = 0;           // over tokens, and
  std::vector<double> delta_ps;     // its quantiles at kDeltaQuantiles
  Estimate logit_error;             // relative, see TokenDivergence
  double logit_most = 0;            // of all tokens
  double log_p_rms = 0;             // of ln q - ln p, the 100 most likely tokens of every position
  double reference_perplexity = 0;  // perplexities: of windows' mean ln p
  // Share of the reference's attention weights (its own queries) that lies on the tokens which the
  // other reads, mean over heads, layers without a window and every seventh scored step. Not of
  // kPrefill.
  std::optional<Estimate> mass_recall;
  // Of the same steps: what attention gives the reference's queries over what the other reads and
  // holds, beside what it gives them over the reference's cache. The other chose with queries of
  // its own, and its cache is what its own run wrote.
  std::optional<AttentionLoss> attention;
  std::vector<HeadLoss> heads;            // by kv head
  std::optional<GreedyAgreement> greedy;  // of kDecode: behind the text before the forced tokens

  double perplexity() const;
};

struct DivergenceOptions {
  PositionSet positions = PositionSet::kDecode;
  size_t decode_tokens = 128;  // forced at the end of each window
  // Of kDecode: written freely in their place; fewer where the context has no room, 0 for none.
  size_t greedy_tokens = 128;
};

// `windows` are each read in fresh caches. Reports "comparing" in windows; those done before an
// early end are reported. REQUIRES: subjects of one model, made with Watch::kAlsoAll where mass
// recall is wanted; a window has at least 4 tokens, and more than decode_tokens; an answer at least
// one token behind a prompt of one.
Divergence measure_divergence(const Subject& reference, const Subject& other,
                              std::span<const ForcedText> windows,
                              const DivergenceOptions& options = {}, const Progress& progress = {});

}  // namespace fathom::eval
