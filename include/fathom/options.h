// What a user may choose, and what a run cost: plain data shared by the library and the program.
#pragma once

#include <fathom/account.h>
#include <fathom/error.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

// How far a long operation is. The library itself never prints.
struct ProgressUpdate {
  std::string_view phase;  // "loading", "reading"
  size_t done = 0;         // of `total`, in `unit`
  size_t total = 0;
  std::string_view unit;  // "bytes", "tokens"
};
// Called often, from the calling thread. Returning false ends the operation at the next safe point.
using Progress = std::function<bool(const ProgressUpdate&)>;

struct ModelOptions {
  int threads = 0;       // 0: the physical cores that this process may use
  size_t context = 0;    // tokens; 0: as trained, cut to what memory holds
  std::string kv;        // cache policy, e.g. "store=f16"; "": the defaults
  size_t kv_bytes = 0;   // budget of the cache; 0: the memory that is free after loading
  size_t batch = 512;    // tokens that are read in one step
  bool explain = false;  // replies carry an account (fathom/account.h)
  // Most tokens of a reply, where that is known; -1: not. prefill=gemfilter, whose cache is smaller
  // than the text, has room for so many, or for 4,096.
  int reply_tokens = -1;
  Progress progress;  // while loading
};

// How the next token is chosen. The same seed gives the same text.
struct SamplingOptions {
  float temperature = 0.0f;        // 0: always the most likely token
  int top_k = 40;                  // 0: all
  float top_p = 0.95f;             // 1: off
  float min_p = 0.05f;             // 0: off
  float typical_p = 1.0f;          // 1: off
  float repeat_penalty = 1.0f;     // divides positive, multiplies negative logits; 1: off
  float frequency_penalty = 0.0f;  // subtracted once an occurrence
  float presence_penalty = 0.0f;   // subtracted if there is any
  int repeat_last_n = 64;          // tokens that penalties look back on; -1: all
  std::vector<std::pair<int32_t, float>> logit_bias;
  uint64_t seed = 0;
};

struct GenerateOptions {
  SamplingOptions sampling;
  int max_tokens = -1;            // -1: until the model ends or the context is full
  std::vector<std::string> stop;  // ends before any of these, also across tokens
  bool ignore_eos = false;
};

enum class StopReason : uint8_t {
  kEnd,          // the model ended its reply
  kStopString,   // a stop string
  kMaxTokens,    // max_tokens
  kContextFull,  // the context
  kInterrupted,  // the callback asked for it
};

// What a reply cost.
struct Price {
  size_t prompt_tokens = 0;  // read for this reply
  double prompt_seconds = 0;
  size_t generated_tokens = 0;
  double generate_seconds = 0;     // after the first token
  double time_to_first_token = 0;  // seconds, from the call or from the reading before it
  size_t context_tokens = 0;       // in the cache at the end
  size_t kv_bytes = 0;             // of the cache at the end
  double prompt_read = 1.0;  // share of the (query, key) pairs that reading the prompt computed
  double keys_read = 1.0;    // share of the kept keys that decoding read

  double prompt_speed() const {
    return prompt_seconds > 0 ? double(prompt_tokens) / prompt_seconds : 0;
  }
  // Tokens after the first a second: the first comes from reading the prompt.
  double generate_speed() const {
    return generate_seconds > 0 && generated_tokens > 1
               ? double(generated_tokens - 1) / generate_seconds
               : 0;
  }
};

struct Reply {
  std::string text;
  std::vector<int32_t> tokens;
  StopReason reason = StopReason::kEnd;
  Price price;
  std::optional<Account> account;  // where ModelOptions::explain asked for it
};

}  // namespace fathom
