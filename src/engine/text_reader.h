// What policies ask about a sequence's text: how surprising its tokens were to the model, and where
// its sentences end. Keeps a cache's KnownText up to date, step by step; what it says does not
// depend on how the text is cut into steps.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kv/known_text.h"
#include "kv/policy.h"

namespace fathom::engine {

// The bytes that a token adds to a text.
using TokenText = std::function<std::string(int32_t)>;

class TextReader {
 public:
  // Throws Error(kUnsupported) where a policy asks for sentences and `piece` is empty.
  TextReader(const kv::Policy& policy, TokenText piece);

  // Whether logits of all tokens are needed.
  bool wants_surprise() const { return surprise_; }
  // Before a step: tokens that the cache is about to read.
  void before(kv::KnownText& text, std::span<const int32_t> tokens) const;
  // After it: surprise [tokens - 1] of all but the first of them, and the logits after the last.
  static void after(kv::KnownText& text, std::span<const float> surprise,
                    std::span<const float> next);

 private:
  void read_sentences(kv::KnownText& text, std::span<const int32_t> tokens) const;

  bool surprise_ = false, sentences_ = false;
  TokenText piece_;
};

}  // namespace fathom::engine
