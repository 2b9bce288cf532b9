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

// One timed run.
struct CostLine {
  std::string model, policy;
  size_t length = 0;  // tokens read
  size_t run = 0;
  double first_token_seconds = 0;         // from token ids to the first new one, nothing cached
  double warm_seconds = 0;                // the same for a short question behind the cached text
  double step_seconds = 0, step_p99 = 0;  // of decoding one token behind it: median, 99 %
  size_t steps = 0;
  size_t kv_bytes = 0;                    // of the cache after decoding
  size_t peak_kv_bytes = 0;               // the most while the prompt was read
  double prompt_read = 1, keys_read = 1;  // shares of what dense attention reads
  size_t moved_bytes = 0;                 // of the cache, a step; 0: not counted
  size_t index_bytes = 0;                 // of them: to choose what is read
  size_t weight_bytes = 0;                // that a step reads besides
  std::vector<DepthCost> depths = {};     // shorter ones, ascending
};

struct CostOptions {
  size_t steps = 64;     // decoded
  size_t question = 32;  // tokens of the warm question
  size_t depth_steps = 32;
  std::vector<size_t> depths = {};  // below the length
};
// `tokens`: the text, and behind it at least question + steps tokens more, that are forced.
CostLine measure_cost(const Subject& subject, std::span<const engine::TokenId> tokens,
                      size_t length, const CostOptions& options = {});

std::string cost_line(const CostLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<CostLine> parse_costs(std::string_view text, const std::string& source);

// Medians over a policy's runs at the longest length.
struct CostSummary {
  size_t length = 0, runs = 0;
  double first_token_seconds = 0, first_token_least = 0, first_token_most = 0;
  double warm_seconds = 0;
  double step_seconds = 0, step_least = 0, step_most = 0, step_p99 = 0;
  double kv_bytes = 0, peak_kv_bytes = 0;
  double prompt_read = 1, keys_read = 1;
  double moved_bytes = 0, index_bytes = 0, weight_bytes = 0;
  std::vector<DepthCost> depths;  // of all lengths, ascending: medians

  double prefill_speed() const { return double(length) / first_token_seconds; }
  double decode_speed() const { return 1 / step_seconds; }
  double bytes_per_token() const { return kv_bytes / double(length); }
};
// Nothing where the policy was not measured.
std::optional<CostSummary> summarize_costs(std::span<const CostLine> lines,
                                           std::string_view policy);

}  // namespace fathom::eval
