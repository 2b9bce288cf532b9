// What a policy costs, measured by itself: time to the first token, speed of reading and of
// decoding, bytes of the cache. Runs of several policies are taken in turn by the caller, so that a
// machine that grows slower is slower for all.
//
// Steps are timed behind the whole prompt and behind shorter ones (depths), each read by itself, so
// that KEEP decides for it. Bytes that a step moves are counted where pages are read
// (kv/traffic.h), on a fork, after the timing.
//
// Prompts are prose: policies decide by what they read, and random tokens would flatter them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/controls.h"

namespace fathom::eval {

// Decoding behind so many tokens.
struct DepthCost {
  size_t depth = 0;
  double step_seconds = 0;  // median
  size_t moved_bytes = 0;   // of the cache, a step: read, looked at to choose, written
};

// Decoding with so many forks of the text in one step.
struct BatchCost {
  size_t sequences = 0;
  double step_seconds = 0;  // median, of a token for each of them
};
inline constexpr size_t kBatches[] = {4, 16};

// One timed run.
struct CostLine {
  std::string model, policy;
  size_t length = 0;  // tokens read
  size_t run = 0;
  double first_token_seconds = 0;         // from token ids to the first new one, nothing cached
  double warm_seconds = 0;                // the same for a short question behind the cached text
  double step_seconds = 0, step_p99 = 0;  // of decoding one token behind it: median, 99 %
  size_t steps = 0;
  // All that is there because of the text, side_bytes among them: after decoding, and the most
  // while the prompt was read.
  size_t kv_bytes = 0, peak_kv_bytes = 0;
  size_t side_bytes = 0;                  // after decoding, beside pages
  size_t allocated_bytes = 0;             // memory of pages when the prompt has been read,
  size_t filled_bytes = 0;                // and what of it holds tokens; 0: not measured
  size_t f16_bytes = 0;                   // a token takes in f16, nothing left out
  double read_bytes_per_second = 0;       // of this machine's memory; 0: not measured
  double prompt_read = 1, keys_read = 1;  // shares of what dense attention reads
  size_t moved_bytes = 0;                 // of the cache, a step; 0: not counted
  size_t index_bytes = 0;                 // of them: to choose what is read
  size_t weight_bytes = 0;                // that a step reads besides
  std::vector<DepthCost> depths = {};     // shorter ones, ascending
  std::vector<BatchCost> batches = {};    // of kBatches; none where the cache had no room
};

struct CostOptions {
  size_t steps = 64;     // decoded
  size_t question = 32;  // tokens of the warm question
  size_t depth_steps = 32;
  size_t batch_steps = 8;
  std::vector<size_t> depths = {};   // below the length
  double read_bytes_per_second = 0;  // of the machine, see machine.h
};
// `tokens`: the text, and behind it at least question + steps tokens more, that are forced.
CostLine measure_cost(const Subject& subject, std::span<const engine::TokenId> tokens,
                      size_t length, const CostOptions& options = {});

std::string cost_line(const CostLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<CostLine> parse_costs(std::string_view text, const std::string& source);

// Tokens of an answer, where questions are priced.
inline constexpr size_t kAnswerTokens = 64;

// Medians over a policy's runs at the longest length.
struct CostSummary {
  size_t length = 0, runs = 0;
  size_t steps = 0;  // decoded before bytes were counted
  double first_token_seconds = 0, first_token_least = 0, first_token_most = 0;
  double warm_seconds = 0;
  double step_seconds = 0, step_least = 0, step_most = 0, step_p99 = 0;
  double kv_bytes = 0, peak_kv_bytes = 0, side_bytes = 0;
  double allocated_bytes = 0, filled_bytes = 0, f16_bytes = 0;
  double read_bytes_per_second = 0;
  double prompt_read = 1, keys_read = 1;
  double moved_bytes = 0, index_bytes = 0, weight_bytes = 0;
  std::vector<DepthCost> depths;  // of all lengths, ascending: medians
  std::vector<BatchCost> batches;

  // Seconds of a question over the cached text: reading it, and an answer of kAnswerTokens.
  double question_seconds() const {
    return warm_seconds + double(kAnswerTokens - 1) * step_seconds;
  }
  // The same with its share of reading the text, of so many questions.
  double amortised_seconds(size_t questions) const {
    return question_seconds() + first_token_seconds / double(questions);
  }
  double prefill_speed() const { return double(length) / first_token_seconds; }
  double decode_speed() const { return 1 / step_seconds; }
  double bytes_per_token() const { return kv_bytes / double(length + steps); }
  // Of f16 with nothing left out; nothing where that is not known.
  std::optional<double> share_of_f16() const;
  // Memory taken for each byte that holds tokens; nothing where that was not measured.
  std::optional<double> fragmentation() const;
  // A step at the measured read bandwidth of this machine, weights and cache, and how much of that
  // bandwidth a step uses: above 1 where caches of the processor hold what is read. Nothing where
  // either was not measured.
  std::optional<double> roofline_seconds() const;
  std::optional<double> bandwidth_use() const;
};
// Questions over one text from which on the policy has cost less time than the other, where it
// reads the text more slowly and answers faster; 0 where it is never slower; nothing where it is
// never faster, or only up to some number of questions.
std::optional<double> break_even(const CostSummary& other, const CostSummary& policy);
// "12", "0", "never", or "up to 7" where it reads faster and answers more slowly.
std::string break_even_text(const CostSummary& other, const CostSummary& policy);
// Nothing where the policy was not measured.
std::optional<CostSummary> summarize_costs(std::span<const CostLine> lines,
                                           std::string_view policy);

}  // namespace fathom::eval
