// The forward pass: tokens in, logits out.
//
// A Batch is a flat list of tokens of any sequences; nothing here knows which token belongs to
// whom, so a token's result does not depend on what else is in the batch. The model sees the cache
// through one call, Attention::attend().
//
// A Forward owns the scratch of one engine: use it from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernel/kernels.h"
#include "model/model.h"
#include "model/rope.h"

namespace fathom::model {

struct Batch {
  std::span<const int32_t> tokens;     // [n], each below the vocabulary's size
  std::span<const int32_t> positions;  // [n]
  std::span<const uint32_t> outputs;   // indices of the tokens whose logits are wanted, ascending
  // Where somebody asks how likely the text is: [n], the token that follows each, -1 where nobody
  // knows. Costs the head's product for all of them, a few rows at a time.
  std::span<const int32_t> next = {};
  // Where given, the pass ends with the attention call of this layer; no outputs, no next.
  std::optional<size_t> last_layer = {};
};

struct AttendCall {
  size_t layer = 0;
  const float* q = nullptr;  // [n][heads][head_dim], rotated
  const float* k = nullptr;  // [n][kv_heads][head_dim], rotated
  const float* v = nullptr;  // [n][kv_heads][head_dim]
  float* out = nullptr;      // [n][heads][head_dim]
  float scale = 1.0f;
  float soft_cap = 0.0f;       // 0: none
  int32_t window = 0;          // 0: none
  const Rope* rope = nullptr;  // how q and k were rotated
  kernel::RopeStyle style = kernel::RopeStyle::kHalf;
};

// The cache as the model sees it: append these keys and values, attend these queries.
class Attention {
 public:
  virtual ~Attention() = default;
  virtual void attend(const AttendCall& call) = 0;
};

// -log p(id) under the softmax of the logits, nats.
float minus_log_probability(std::span<const float> logits, int32_t id);

struct ForwardLimits {
  size_t tokens = 512;  // of a batch
  size_t slice = 512;   // of it that go through the matrices together: what scratch is measured by
  size_t context = 4096;  // positions that a sequence may reach
};

class Forward {
 public:
  Forward(std::shared_ptr<const Model> model, ThreadPool& pool, const kernel::Kernels& kernels,
          const ForwardLimits& limits);
  ~Forward();

  // logits: [outputs][vocab]. `surprise`, [n] where batch.next is given: -log p(next), nats; 0
  // where that is -1. REQUIRES: at most max_tokens tokens.
  void run(const Batch& batch, Attention& attention, std::span<float> logits,
           std::span<float> surprise = {});

  size_t max_tokens() const { return max_tokens_; }
  const Config& config() const { return model_->config(); }
  size_t scratch_bytes() const;

 private:
  struct Product;  // a weight matrix and where its result goes
  struct Task;     // some tiles of a product, for some tokens
  struct Heads;
  struct Rows {
    const float* data;
    size_t columns;
  };
  struct Forms {
    bool int8 = false, bf16 = false;
  };
  void embed(const Batch& batch);
  void rotate_tables(const Batch& batch);
  void layer(size_t index, Attention& attention);
  void attend(size_t index, Attention& attention);
  void attention_inputs(const LayerWeights& w, const Vector* above, size_t table);
  void attention_output(const LayerWeights& w);
  void feed_forward_block(const LayerWeights& w);
  void score(std::span<const int32_t> next, std::span<float> surprise);
  void final_row(size_t t, float* out);
  void output(const Batch& batch, std::span<float> logits);

  // What happens to row first_ + t between products.
  void add_residual(size_t t, const Vector& post_norm);
  void norm(size_t t, const Vector& weight);
  void shape_heads(const Heads& heads, size_t t);
  static bool has_bias(const Product& p);
  void add_bias(size_t t, const Product& p);
  void derive(const kernel::Activations& x, size_t t, Forms forms);

  template <class Make>
  void multiply(Rows x, std::span<const Product> products, Make make);
  void split(std::span<const Product> products);
  template <class Fn>
  void for_slices(size_t n, Fn fn);
  template <class Fn>
  void for_tokens(Fn fn);

  std::shared_ptr<const Model> model_;
  ThreadPool& pool_;
  const kernel::Kernels& kernels_;
  size_t max_tokens_, slice_tokens_;
  std::vector<Rope> ropes_;  // global, then local if there is one

  size_t rows_ = 0;                // of the batch being run
  size_t first_ = 0, tokens_ = 0;  // the slice of them that is being worked on
  Buffer<float> x_, h_, q_, k_, v_, attended_, gate_, up_;
  Buffer<float> scored_;           // logits of a few rows
  Buffer<float> cos_[2], sin_[2];  // [table]: [max_tokens][pairs]
  std::vector<Task> tasks_;
  kernel::ActivationBuffer activations_;
  std::vector<Buffer<std::byte>> scratch_;  // one a worker
};

}  // namespace fathom::model
