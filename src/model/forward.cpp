#include "model/forward.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernel/block_formats.h"

namespace fathom::model {

using kernel::ActForm;
using kernel::Activations;

struct Forward::Product {
  const kernel::Matrix* weights;
  const Vector* bias;  // null or empty: none
  float* y;            // [tokens][rows]

  Product(const Linear& linear, float* out)
      : weights(&linear.weights), bias(&linear.bias), y(out) {}
  Product(const kernel::Matrix& matrix, float* out) : weights(&matrix), bias(nullptr), y(out) {}
};

struct Forward::Task {
  const Product* product;
  size_t tile_begin, tile_end;
};

namespace {

// Below this many tokens a step is so short that waking the pool costs more than it saves.
constexpr size_t kSerialTokens = 4;

// fn(token) or, where it needs scratch, fn(token, worker).
template <class Fn>
void call(Fn& fn, size_t token, int worker) {
  if constexpr (std::is_invocable_v<Fn, size_t, int>) {
    fn(token, worker);
  } else {
    fn(token);
  }
}

size_t widest(const Config& c) { return std::max({c.dim, c.heads * c.head_dim, c.feed_forward}); }

}  // namespace

Forward::Forward(std::shared_ptr<const Model> model, ThreadPool& pool,
                 const kernel::Kernels& kernels, size_t max_tokens, size_t context)
    : model_(std::move(model)), pool_(pool), kernels_(kernels), max_tokens_(max_tokens) {
  const Config& c = config();
  ropes_.emplace_back(c.rope, context);
  if (c.has_local_rope) ropes_.emplace_back(c.local_rope, context);
  x_ = Buffer<float>(max_tokens * c.dim);
  h_ = Buffer<float>(max_tokens * c.dim);
  q_ = Buffer<float>(max_tokens * c.heads * c.head_dim);
  k_ = Buffer<float>(max_tokens * c.kv_heads * c.head_dim);
  v_ = Buffer<float>(max_tokens * c.kv_heads * c.head_dim);
  attended_ = Buffer<float>(max_tokens * c.heads * c.head_dim);
  gate_ = Buffer<float>(max_tokens * c.feed_forward);
  up_ = Buffer<float>(max_tokens * c.feed_forward);
  for (size_t t = 0; t < ropes_.size(); ++t) {
    cos_[t] = Buffer<float>(max_tokens * ropes_[t].pairs());
    sin_[t] = Buffer<float>(max_tokens * ropes_[t].pairs());
  }
  activations_.view(nullptr, max_tokens, widest(c));
  for (int i = 0; i < pool.size(); ++i) {
    scratch_.emplace_back(kernel::matmul_scratch_bytes(widest(c)));
  }
}

Forward::~Forward() = default;

size_t Forward::scratch_bytes() const {
  size_t bytes = scratch_.size() * scratch_[0].bytes();
  for (const Buffer<float>* b : {&x_, &h_, &q_, &k_, &v_, &attended_, &gate_, &up_, &cos_[0],
                                 &cos_[1], &sin_[0], &sin_[1]}) {
    bytes += b->bytes();
  }
  return bytes + max_tokens_ * widest(config()) * 4;
}

template <class Fn>
void Forward::for_tokens(Fn fn) {
  if (tokens_ < kSerialTokens) {
    for (size_t t = 0; t < tokens_; ++t) call(fn, t, 0);
    return;
  }
  const size_t parts = std::min<size_t>(tokens_, 4 * static_cast<size_t>(pool_.size()));
  pool_.run(parts, [&](size_t part, int worker) {
    const Range range = part_of(tokens_, 1, part, parts);
    for (size_t t = range.begin; t < range.end; ++t) call(fn, t, worker);
  });
}

void Forward::run(const Batch& batch, Attention& attention, std::span<float> logits) {
  FATHOM_CHECK(batch.tokens.size() <= max_tokens_);
  FATHOM_CHECK(batch.positions.size() == batch.tokens.size());
  FATHOM_CHECK(logits.size() == batch.outputs.size() * config().vocab);
  tokens_ = batch.tokens.size();
  if (tokens_ == 0) return;
  embed(batch);
  rotate_tables(batch);
  for (size_t l = 0; l < config().layers; ++l) layer(l, attention);
  output(batch, logits);
}

void Forward::embed(const Batch& batch) {
  const Config& c = config();
  const Weights& w = model_->weights();
  for_tokens([&](size_t t, int worker) {
    const size_t id = static_cast<size_t>(batch.tokens[t]);
    FATHOM_CHECK(id < c.vocab);
    const std::span<float> row = x_.span().subspan(t * c.dim, c.dim);
    if (w.embedding_view) {
      const size_t bytes = w.embedding_view->row_bytes();
      kernel::dequantize_row(w.embedding_view->type, w.embedding_view->data.data() + id * bytes,
                             row);
    } else {
      w.embedding.dequantize_row(id, row, scratch_[static_cast<size_t>(worker)].span());
    }
    if (c.embedding_scale != 1.0f) {
      for (float& value : row) value *= c.embedding_scale;
    }
  });
}

void Forward::rotate_tables(const Batch& batch) {
  for (size_t table = 0; table < ropes_.size(); ++table) {
    const size_t pairs = ropes_[table].pairs();
    for_tokens([&](size_t t) {
      ropes_[table].angles(batch.positions[t], cos_[table].data() + t * pairs,
                           sin_[table].data() + t * pairs);
    });
  }
}

// One decoder layer. Families leave out what they do not have.
void Forward::layer(size_t index, Attention& attention) {
  attention_block(index, attention);
  feed_forward_block(model_->weights().layers[index]);
}

void Forward::attention_block(size_t index, Attention& attention) {
  const Config& c = config();
  const LayerWeights& w = model_->weights().layers[index];
  const bool windowed = c.windowed(index);
  const size_t table = windowed && c.has_local_rope ? 1 : 0;

  norm(x_.data(), w.attention_norm, h_.data());
  const Product qkv[] = {{w.q, q_.data()}, {w.k, k_.data()}, {w.v, v_.data()}};
  multiply(h_.data(), c.dim, qkv);
  norm_heads(q_.data(), c.heads, w.q_norm);
  norm_heads(k_.data(), c.kv_heads, w.k_norm);
  rotate(q_.data(), c.heads, table);
  rotate(k_.data(), c.kv_heads, table);
  attention.attend({index, q_.data(), k_.data(), v_.data(), attended_.data(), c.attention_scale,
                    c.attention_soft_cap, windowed ? c.window : 0});
  const Product o[] = {{w.o, h_.data()}};
  multiply(attended_.data(), c.heads * c.head_dim, o);
  add_residual(h_.data(), w.post_attention_norm);
}

void Forward::feed_forward_block(const LayerWeights& w) {
  const Config& c = config();
  const auto& ops = kernels_.elementwise;
  const auto gated = c.activation == Activation::kSilu ? ops.silu_mul : ops.gelu_mul;

  norm(x_.data(), w.feed_forward_norm, h_.data());
  const Product gate_up[] = {{w.gate, gate_.data()}, {w.up, up_.data()}};
  multiply(h_.data(), c.dim, gate_up);
  for_tokens([&](size_t t) {
    float* gate = gate_.data() + t * c.feed_forward;
    gated(gate, up_.data() + t * c.feed_forward, c.feed_forward, gate);
  });
  const Product down[] = {{w.down, h_.data()}};
  multiply(gate_.data(), c.feed_forward, down);
  add_residual(h_.data(), w.post_feed_forward_norm);
}

void Forward::output(const Batch& batch, std::span<float> logits) {
  const Config& c = config();
  const Weights& w = model_->weights();
  if (batch.outputs.empty()) return;
  for (size_t i = 0; i < batch.outputs.size(); ++i) {  // ascending, so rows only move down
    std::memmove(x_.data() + i * c.dim, x_.data() + batch.outputs[i] * c.dim,
                 c.dim * sizeof(float));
  }
  tokens_ = batch.outputs.size();
  norm(x_.data(), w.output_norm, h_.data());
  const Product product[] = {{w.output.rows() > 0 ? w.output : w.embedding, logits.data()}};
  multiply(h_.data(), c.dim, product);
  if (c.logit_soft_cap > 0) {
    for_tokens([&](size_t t) {
      kernels_.elementwise.soft_cap(logits.data() + t * c.vocab, c.vocab, c.logit_soft_cap);
    });
  }
}

void Forward::norm(const float* x, const Vector& weight, float* out) {
  const size_t n = config().dim;
  for_tokens([&](size_t t) {
    kernels_.elementwise.rms_norm(
        {x + t * n, weight.data(), n, config().norm_epsilon, out + t * n});
  });
}

void Forward::norm_heads(float* x, size_t heads, const Vector& weight) {
  if (weight.size() == 0) return;
  const size_t d = config().head_dim;
  for_tokens([&](size_t t) {
    for (size_t h = 0; h < heads; ++h) {
      float* head = x + (t * heads + h) * d;
      kernels_.elementwise.rms_norm({head, weight.data(), d, config().norm_epsilon, head});
    }
  });
}

void Forward::rotate(float* x, size_t heads, size_t table) {
  const Config& c = config();
  const size_t pairs = ropes_[table].pairs();
  for_tokens([&](size_t t) {
    kernels_.elementwise.rope({x + t * heads * c.head_dim, heads, c.head_dim, 2 * pairs,
                               cos_[table].data() + t * pairs, sin_[table].data() + t * pairs,
                               c.rope.style});
  });
}

void Forward::add_residual(const float* y, const Vector& post_norm) {
  const size_t n = config().dim;
  for_tokens([&](size_t t) {
    float* x = x_.data() + t * n;
    const float* row = y + t * n;
    if (post_norm.size() > 0) {
      float* normed = h_.data() + t * n;  // y is h_
      kernels_.elementwise.rms_norm({row, post_norm.data(), n, config().norm_epsilon, normed});
      row = normed;
    }
    kernels_.elementwise.add(x, row, n, x);
  });
}

// The forms of x that the products read, all derived in one pass.
void Forward::prepare(const Activations& x, std::span<const Product> products) {
  bool int8 = false, bf16 = false;
  for (const Product& p : products) {
    int8 |= kernel::act_form(p.weights->type()) == ActForm::kInt8;
    bf16 |= kernel::act_form(p.weights->type()) == ActForm::kBFloat;
  }
  if (!int8 && !bf16) return;
  for_tokens([&](size_t t) {
    const float* row = x.x + t * x.k;
    if (int8) {
      kernels_.elementwise.quantize({row, x.k, x.codes + t * x.k,
                                     x.scales + t * (x.k / kernel::kActBlock),
                                     x.sums + t * (x.k / 16)});
    }
    if (bf16) kernels_.elementwise.to_bfloat(row, x.k, x.bf16 + t * x.k);
  });
}

void Forward::multiply(const float* x, size_t k, std::span<const Product> products) {
  const Activations activations = activations_.view(x, tokens_, k);
  prepare(activations, products);
  // Few tokens: runs long enough to stream. Many: two tiles share an expansion.
  size_t tiles = 0;
  for (const Product& p : products) tiles += p.weights->tiles();
  const size_t workers = static_cast<size_t>(pool_.size());
  const size_t run = std::max<size_t>(4, tokens_ < 16 ? tiles / (4 * workers) / 2 * 2 : 4);
  tasks_.clear();
  for (const Product& p : products) {
    for (size_t t = 0; t < p.weights->tiles(); t += run) {
      tasks_.push_back({&p, t, std::min(p.weights->tiles(), t + run)});
    }
  }
  pool_.run(tasks_.size(), [&](size_t i, int worker) {
    const Task& task = tasks_[i];
    kernel::MatmulArgs args;
    args.weights = task.product->weights;
    args.tile_begin = task.tile_begin;
    args.tile_end = task.tile_end;
    args.x = &activations;
    args.token_end = tokens_;
    args.y = task.product->y;
    args.y_stride = task.product->weights->rows();
    args.scratch = scratch_[static_cast<size_t>(worker)].data();
    kernels_.matmul(args.weights->type())(args);
  });
  add_bias(products);
}

void Forward::add_bias(std::span<const Product> products) {
  for (const Product& p : products) {
    if (!p.bias || p.bias->size() == 0) continue;
    const size_t n = p.weights->rows();
    for_tokens(
        [&](size_t t) { kernels_.elementwise.add(p.y + t * n, p.bias->data(), n, p.y + t * n); });
  }
}

}  // namespace fathom::model
