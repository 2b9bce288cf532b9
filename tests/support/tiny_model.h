// The reference models (tests/reference/logits), ready to run under any policy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/runner.h"

namespace fathom::test {

struct TinyOptions {
  int threads = 2;
  size_t batch = 96;
  bool explain = false;
  // Every fifth token of a text ends a sentence, by what these models' tokens are said to spell.
  engine::TokenText token_text = sentences_of_five;
  static std::string sentences_of_five(int32_t id);
};
std::unique_ptr<engine::Runner> tiny_model(const std::string& name, kv::Policy policy,
                                           const TinyOptions& options = {});
// By a policy line; what it does not name is dense, and pages are f32.
std::unique_ptr<engine::Runner> tiny_model(const std::string& name, const std::string& line,
                                           const TinyOptions& options = {});
// Tokens from a seed, for a model of this vocabulary.
std::vector<int32_t> random_tokens(size_t count, size_t vocab, uint32_t seed);

}  // namespace fathom::test
