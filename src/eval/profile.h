// What a layer's heads attend to, and what policies would have read of it: a researcher's first
// look at a recording.
//
// Attention is computed over the recorded keys as the model's dense attention weighs them, with the
// layer's window and soft cap; shares are of the keys that a query sees. Everything is
// deterministic.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "engine/runner.h"
#include "kv/policy.h"
#include "kv/replay/recording.h"

namespace fathom::eval {

struct ProfileOptions {
  size_t rows = 256;  // queries looked at, evenly spread over the text
  size_t sinks = 4;   // first tokens
  size_t local = 64;  // last tokens, the query's own included
};

// Means over the rows; shares of a head's attention.
struct HeadProfile {
  double sinks = 0;    // on the first tokens
  double local = 0;    // on the last ones
  double entropy = 0;  // nats
  double spread = 0;   // entropy over that of attending to everything alike
  // On tokens that followed earlier occurrences of the query's own token, beyond the local ones;
  // over rows that have such tokens. `copy_chance`: had those tokens the average weight.
  double copy = 0, copy_chance = 0;
  std::vector<double> distance;  // attention by distance: 0, 1, 2-3, 4-7, ... 2^(i-1) to 2^i - 1
};

struct LayerProfile {
  size_t layer = 0;
  size_t copy_rows = 0;            // rows that had something to copy
  std::vector<HeadProfile> heads;  // query heads
};

// `tokens`: the recorded text. REQUIRES: as many as the recording has.
LayerProfile profile_layer(const kv::Recording& recording, std::span<const engine::TokenId> tokens,
                           const ProfileOptions& options, ThreadPool& pool);

// What a policy read of one layer, and the share of the attention that lies on it.
struct StageRecall {
  double read = 1;    // keys read of those that were there
  double recall = 1;  // mean over rows and heads
  double worst = 1;   // of the heads' means
};
struct PolicyRecall {
  std::string policy;                  // the complete line
  std::string refused;                 // why nothing below is known; empty: it is
  std::optional<StageRecall> prefill;  // of the prompt's rows; nothing for prefill=dense
  StageRecall steps;                   // of the decode steps, under KEEP and FETCH
  // By page of 64 tokens, of the decode steps, means over heads and steps: the share of the
  // attention, and the share of steps and heads that read it (a page read in part counts in part).
  std::vector<double> page_mass, page_read;
};

PolicyRecall policy_recall(const kv::Recording& recording, const kv::Policy& policy,
                           const ProfileOptions& options, ThreadPool& pool);

}  // namespace fathom::eval
