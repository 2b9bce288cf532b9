// Scorers by name, for the methods that wrap any of them.
#pragma once

#include "kv/keep/budgeted.h"
#include "kv/method.h"

namespace fathom::kv {

// The parameters of every wrapper, to be listed in its own; kScorerNames are the choices.
inline constexpr std::string_view kScorerNames = "snapkv|expected|h2o|knorm|keydiff|tova";
#define FATHOM_SCORER_PARAMETERS                                                          \
  {"scorer", "snapkv", kScorerNames, 0, 0, "what tells tokens apart"},                    \
      {"window", "32", "", 1, 4096, "last tokens that stay; snapkv's queries that vote"}, \
      {"pool", "max", "avg|max", 0, 0, "how snapkv smooths"},                             \
      {"kernel", "7", "", 1, 255, "tokens that snapkv smooths over, odd"}, {              \
    "sinks", "0", "", 0, 1e6, "first tokens that stay"                                    \
  }

ScorerPtr make_scorer(const Parameters& p);
inline Forced forced_tokens(const Parameters& p) { return {p.count("sinks"), p.count("window")}; }

}  // namespace fathom::kv
