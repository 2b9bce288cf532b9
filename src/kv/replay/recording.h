// A recorded attention layer: the queries, keys and values that a model produced for one layer
// while it read a prompt and wrote a few tokens after it. Policies are judged on it without a
// model.
//
// A recording is a safetensors file of floats (f32, f16, bf16), tokens first:
//   q           [tokens, heads, head_dim]     after RoPE
//   k, v        [tokens, kv_heads, head_dim]  k after RoPE
//   q_unrotated, k_unrotated                  optional: as q and k, before RoPE
//   hidden      [tokens, width]               optional: the layer's input
// and metadata: `prompt_tokens` (default: all), the rest being decode steps of one query each;
// `layer`; `scale` of q . k (default: 1/sqrt(head_dim)); `soft_cap` (scores are cap * tanh(score /
// cap), from 0.001 to 1000000) and `window` (a query sees so many keys up to its own), both as the
// layer's attention has them and by default not at all; `rope_freq_base` and `rope` ("interleaved
// pairs" or "halves"). Query head h reads kv head h / (heads / kv_heads).
//
// Everything is checked when the file is opened: shapes agree, the tensors are not empty, and every
// number is finite and small enough that no product overflows. Immutable afterwards, so safe to
// read from any thread; views point into the recording, which must outlive them. Throws
// Error(kBadFile | kUnsupported) naming the file and the tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "file/safetensors.h"
#include "kernel/elementwise.h"
#include "kv/view.h"

namespace fathom::kv {

class Recording {
 public:
  explicit Recording(const std::string& path) : Recording(file::SafetensorsFile(path)) {}
  explicit Recording(const file::SafetensorsFile& file);

  size_t tokens() const { return tokens_; }  // prompt and decode steps
  size_t prompt() const { return prompt_; }
  size_t steps() const { return tokens_ - prompt_; }
  size_t heads() const { return heads_; }
  size_t kv_heads() const { return kv_heads_; }
  size_t group() const { return heads_ / kv_heads_; }
  size_t head_dim() const { return head_dim_; }
  size_t layer() const { return layer_; }
  float scale() const { return scale_; }
  float soft_cap() const { return soft_cap_; }  // 0: none
  int32_t window() const { return window_; }    // 0: none
  // The first token that the query of this one sees.
  size_t first_seen(size_t token) const {
    const auto window = static_cast<size_t>(window_);
    return window > 0 && token + 1 > window ? token + 1 - window : 0;
  }
  std::optional<double> rope_base() const { return rope_base_; }
  kernel::RopeStyle rope_style() const { return rope_style_; }
  bool has_unrotated_keys() const { return !k_unrotated_.empty(); }
  bool has_unrotated_queries() const { return !q_unrotated_.empty(); }

  // The first `tokens` tokens of a kv head. REQUIRES: tokens <= tokens().
  HeadView head(size_t kv_head, size_t tokens) const;
  // Tokens [first, first + tokens) of the query heads of a kv head.
  QueryView queries(size_t kv_head, size_t first, size_t tokens) const;

  size_t hidden_width() const { return hidden_width_; }  // 0: not recorded
  // The layer's input of a token, [hidden_width].
  const float* hidden(size_t token) const { return hidden_.data() + token * hidden_width_; }

 private:
  void read_shapes(const file::SafetensorsFile& file);
  void read_metadata(const file::SafetensorsFile& file);
  std::vector<float> read_keys(const file::SafetensorsFile& file, const char* name) const;

  size_t tokens_ = 0, prompt_ = 0, heads_ = 0, kv_heads_ = 0, head_dim_ = 0, layer_ = 0;
  float scale_ = 0, soft_cap_ = 0;
  int32_t window_ = 0;
  std::optional<double> rope_base_;
  kernel::RopeStyle rope_style_ = kernel::RopeStyle::kAdjacent;
  std::vector<float> q_, q_unrotated_;      // [tokens][heads][head_dim]
  std::vector<float> k_, v_, k_unrotated_;  // [kv_heads][tokens][head_dim]
  std::vector<float> hidden_;               // [tokens][hidden_width]
  size_t hidden_width_ = 0;
};

}  // namespace fathom::kv
