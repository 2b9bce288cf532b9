#include "model/forward.h"

#include <algorithm>
#include <cmath>
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
  size_t token_begin, token_end;
};

// All query or all key heads of a slice.
struct Forward::Heads {
  float* x;  // [slice][count][head_dim]
  size_t count;
  const Vector* norm;  // empty: none
  size_t table;        // of the rotation
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

float minus_log_probability(std::span<const float> logits, int32_t id) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  return static_cast<float>(std::log(sum) + top - logits[static_cast<size_t>(id)]);
}

Forward::Forward(std::shared_ptr<const Model> model, ThreadPool& pool,
                 const kernel::Kernels& kernels, const ForwardLimits& limits)
    : model_(std::move(model)),
      pool_(pool),
      kernels_(kernels),
      max_tokens_(std::max(limits.tokens, limits.slice)),
      slice_tokens_(limits.slice) {
  const Config& c = config();
  const size_t max_tokens = max_tokens_;
  ropes_.emplace_back(c.rope, limits.context);
  if (c.has_local_rope) ropes_.emplace_back(c.local_rope, limits.context);
  x_ = Buffer<float>(max_tokens * c.dim);
  h_ = Buffer<float>(max_tokens * c.dim);
  q_ = Buffer<float>(max_tokens * c.heads * c.head_dim);
  k_ = Buffer<float>(max_tokens * c.kv_heads * c.head_dim);
  v_ = Buffer<float>(max_tokens * c.kv_heads * c.head_dim);
  attended_ = Buffer<float>(max_tokens * c.heads * c.head_dim);
  gate_ = Buffer<float>(slice_tokens_ * c.feed_forward);
  up_ = Buffer<float>(slice_tokens_ * c.feed_forward);
  for (size_t t = 0; t < ropes_.size(); ++t) {
    cos_[t] = Buffer<float>(max_tokens * ropes_[t].pairs());
    sin_[t] = Buffer<float>(max_tokens * ropes_[t].pairs());
  }
  activations_.view(nullptr, slice_tokens_, widest(c));
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
  return bytes + slice_tokens_ * widest(config()) * 4;
}

// fn() for one slice of n rows after the other.
template <class Fn>
void Forward::for_slices(size_t n, Fn fn) {
  for (first_ = 0; first_ < n; first_ += slice_tokens_) {
    tokens_ = std::min(slice_tokens_, n - first_);
    fn();
  }
}

// fn(t) for the rows first_ + t of the slice.
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

void Forward::run(const Batch& batch, Attention& attention, std::span<float> logits,
                  std::span<float> surprise) {
  FATHOM_CHECK(batch.tokens.size() <= max_tokens_);
  FATHOM_CHECK(batch.positions.size() == batch.tokens.size());
  FATHOM_CHECK(logits.size() == batch.outputs.size() * config().vocab);
  FATHOM_CHECK(surprise.size() == batch.next.size());
  rows_ = batch.tokens.size();
  if (rows_ == 0) return;
  for_slices(rows_, [&] {
    embed(batch);
    rotate_tables(batch);
  });
  const size_t layers = batch.last_layer.value_or(config().layers);
  for (size_t l = 0; l < layers; ++l) layer(l, attention);
  if (batch.last_layer) {
    FATHOM_CHECK(layers < config().layers && batch.outputs.empty() && batch.next.empty());
    return attend(layers, attention);
  }
  if (!batch.next.empty()) score(batch.next, surprise);
  output(batch, logits);
}

void Forward::embed(const Batch& batch) {
  const Config& c = config();
  const Weights& w = model_->weights();
  for_tokens([&](size_t t, int worker) {
    const size_t id = static_cast<size_t>(batch.tokens[first_ + t]);
    FATHOM_CHECK(id < c.vocab);
    const std::span<float> row = x_.span().subspan((first_ + t) * c.dim, c.dim);
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
      const size_t row = first_ + t;
      ropes_[table].angles(batch.positions[row], cos_[table].data() + row * pairs,
                           sin_[table].data() + row * pairs);
    });
  }
}

// One decoder layer: queries, keys and values of all rows slice by slice, attention of all of them
// at once, and what follows slice by slice again. Families leave out what they do not have. Between
// matrix products a token's row goes through everything in one pass, while it is in the nearest
// cache; `h_` carries a block's output to the pass that adds it.
void Forward::layer(size_t index, Attention& attention) {
  attend(index, attention);
  for_slices(rows_, [&] {
    attention_output(model_->weights().layers[index]);
    feed_forward_block(model_->weights().layers[index]);
  });
}

void Forward::attend(size_t index, Attention& attention) {
  const auto& layers = model_->weights().layers;
  const Vector* above = index > 0 ? &layers[index - 1].post_feed_forward_norm : nullptr;
  const Config& c = config();
  const bool windowed = c.windowed(index);
  const size_t table = windowed && c.has_local_rope ? 1 : 0;
  for_slices(rows_, [&] { attention_inputs(layers[index], above, table); });
  attention.attend({index, q_.data(), k_.data(), v_.data(), attended_.data(), c.attention_scale,
                    c.attention_soft_cap, windowed ? c.window : 0, &ropes_[table], c.rope.style});
}

// Queries, keys and values of a slice, rotated by a table.
void Forward::attention_inputs(const LayerWeights& w, const Vector* above, size_t table) {
  const Config& c = config();
  float* q = q_.data() + first_ * c.heads * c.head_dim;
  float* k = k_.data() + first_ * c.kv_heads * c.head_dim;
  float* v = v_.data() + first_ * c.kv_heads * c.head_dim;
  const Product qkv[] = {{w.q, q}, {w.k, k}, {w.v, v}};
  multiply({h_.data() + first_ * c.dim, c.dim}, qkv, [&](size_t t) {
    if (above) add_residual(t, *above);
    norm(t, w.attention_norm);
  });
  for_tokens([&](size_t t) {
    for (const Product& p : qkv) add_bias(t, p);
    shape_heads({q, c.heads, &w.q_norm, table}, t);
    shape_heads({k, c.kv_heads, &w.k_norm, table}, t);
  });
}

void Forward::attention_output(const LayerWeights& w) {
  const Config& c = config();
  const size_t width = c.heads * c.head_dim;
  const Product o[] = {{w.o, h_.data() + first_ * c.dim}};
  multiply({attended_.data() + first_ * width, width}, o, [](size_t) {});
  if (has_bias(o[0])) for_tokens([&](size_t t) { add_bias(t, o[0]); });
}

void Forward::feed_forward_block(const LayerWeights& w) {
  const Config& c = config();
  const auto& ops = kernels_.elementwise;
  const auto gated = c.activation == Activation::kSilu ? ops.silu_mul : ops.gelu_mul;

  const Product gate_up[] = {{w.gate, gate_.data()}, {w.up, up_.data()}};
  float* h = h_.data() + first_ * c.dim;
  multiply({h, c.dim}, gate_up, [&](size_t t) {
    add_residual(t, w.post_attention_norm);
    norm(t, w.feed_forward_norm);
  });
  const Product down[] = {{w.down, h}};
  multiply({gate_.data(), c.feed_forward}, down, [&](size_t t) {
    for (const Product& p : gate_up) add_bias(t, p);
    float* gate = gate_.data() + t * c.feed_forward;
    gated(gate, up_.data() + t * c.feed_forward, c.feed_forward, gate);
  });
  if (has_bias(down[0])) for_tokens([&](size_t t) { add_bias(t, down[0]); });
}

// The rows stay as they are: output() wants them, too.
void Forward::score(std::span<const int32_t> next, std::span<float> surprise) {
  constexpr size_t kRows = 32;
  const Config& c = config();
  const Weights& w = model_->weights();
  scored_.ensure(kRows * (c.vocab + c.dim));
  float* rows = scored_.data() + kRows * c.vocab;
  for (size_t first = 0; first < rows_; first += kRows) {
    tokens_ = std::min(kRows, rows_ - first);
    const Product product[] = {{w.output.rows() > 0 ? w.output : w.embedding, scored_.data()}};
    multiply({rows, c.dim}, product, [&](size_t t) { final_row(first + t, rows + t * c.dim); });
    for_tokens([&](size_t t) {
      float* logits = scored_.data() + t * c.vocab;
      if (c.logit_soft_cap > 0) kernels_.elementwise.soft_cap(logits, c.vocab, c.logit_soft_cap);
      const int32_t id = next[first + t];
      surprise[first + t] = id < 0 ? 0.0f : minus_log_probability({logits, c.vocab}, id);
    });
  }
}

void Forward::output(const Batch& batch, std::span<float> logits) {
  const Config& c = config();
  const Weights& w = model_->weights();
  if (batch.outputs.empty()) return;
  for (size_t i = 0; i < batch.outputs.size(); ++i) {  // ascending, so rows only move down
    for (float* rows : {x_.data(), h_.data()}) {
      std::memmove(rows + i * c.dim, rows + batch.outputs[i] * c.dim, c.dim * sizeof(float));
    }
  }
  for_slices(batch.outputs.size(), [&] {
    float* out = logits.data() + first_ * c.vocab;
    const Product product[] = {{w.output.rows() > 0 ? w.output : w.embedding, out}};
    multiply({h_.data() + first_ * c.dim, c.dim}, product, [&](size_t t) {
      if (c.layers > 0) add_residual(t, w.layers.back().post_feed_forward_norm);
      norm(t, w.output_norm);
    });
    if (c.logit_soft_cap > 0) {
      for_tokens([&](size_t t) {
        kernels_.elementwise.soft_cap(out + t * c.vocab, c.vocab, c.logit_soft_cap);
      });
    }
  });
}

// What output() makes of row t, beside it.
void Forward::final_row(size_t t, float* out) {
  const Config& c = config();
  const Weights& w = model_->weights();
  const float* x = x_.data() + t * c.dim;
  const float* h = h_.data() + t * c.dim;
  if (c.layers == 0) {
    std::copy_n(x, c.dim, out);
  } else if (const Vector& post = w.layers.back().post_feed_forward_norm; post.size() > 0) {
    kernels_.elementwise.rms_norm({h, post.data(), c.dim, c.norm_epsilon, out});
    kernels_.elementwise.add(x, out, c.dim, out);
  } else {
    kernels_.elementwise.add(x, h, c.dim, out);
  }
  kernels_.elementwise.rms_norm({out, w.output_norm.data(), c.dim, c.norm_epsilon, out});
}

// x += h, which is normalised first where the family says so.
void Forward::add_residual(size_t t, const Vector& post_norm) {
  const size_t n = config().dim;
  float* x = x_.data() + (first_ + t) * n;
  float* y = h_.data() + (first_ + t) * n;
  if (post_norm.size() > 0) {
    kernels_.elementwise.rms_norm({y, post_norm.data(), n, config().norm_epsilon, y});
  }
  kernels_.elementwise.add(x, y, n, x);
}

// h = norm(x)
void Forward::norm(size_t t, const Vector& weight) {
  const size_t n = config().dim;
  const size_t at = (first_ + t) * n;
  kernels_.elementwise.rms_norm(
      {x_.data() + at, weight.data(), n, config().norm_epsilon, h_.data() + at});
}

// Norms of single heads where there are any, and the rotation.
void Forward::shape_heads(const Heads& heads, size_t t) {
  const Config& c = config();
  float* row = heads.x + t * heads.count * c.head_dim;
  if (heads.norm->size() > 0) {
    for (size_t h = 0; h < heads.count; ++h) {
      float* head = row + h * c.head_dim;
      kernels_.elementwise.rms_norm({head, heads.norm->data(), c.head_dim, c.norm_epsilon, head});
    }
  }
  const size_t pairs = ropes_[heads.table].pairs();
  const size_t at = (first_ + t) * pairs;
  kernels_.elementwise.rope({row, heads.count, c.head_dim, 2 * pairs, cos_[heads.table].data() + at,
                             sin_[heads.table].data() + at, c.rope.style});
}

bool Forward::has_bias(const Product& p) { return p.bias && p.bias->size() > 0; }

void Forward::add_bias(size_t t, const Product& p) {
  if (!has_bias(p)) return;
  float* y = p.y + t * p.weights->rows();
  kernels_.elementwise.add(y, p.bias->data(), p.weights->rows(), y);
}

// The forms of row t that the products read.
void Forward::derive(const Activations& x, size_t t, Forms forms) {
  const float* row = x.x + t * x.k;
  if (forms.int8) {
    kernels_.elementwise.quantize({row, x.k, x.codes + t * x.k,
                                   x.scales + t * (x.k / kernel::kActBlock),
                                   x.sums + t * (x.k / 16)});
  }
  if (forms.bf16) kernels_.elementwise.to_bfloat(row, x.k, x.bf16 + t * x.k);
}

// y = x W^T of each product, after make(t) has written row t of x.
template <class Make>
void Forward::multiply(Rows x, std::span<const Product> products, Make make) {
  const Activations activations = activations_.view(x.data, tokens_, x.columns);
  Forms forms;
  for (const Product& p : products) {
    forms.int8 |= kernel::act_form(p.weights->type()) == ActForm::kInt8;
    forms.bf16 |= kernel::act_form(p.weights->type()) == ActForm::kBFloat;
  }
  for_tokens([&](size_t t) {
    make(t);
    derive(activations, t, forms);
  });
  split(products);
  pool_.run(tasks_.size(), [&](size_t i, int worker) {
    const Task& task = tasks_[i];
    kernel::MatmulArgs args;
    args.weights = task.product->weights;
    args.tile_begin = task.tile_begin;
    args.tile_end = task.tile_end;
    args.x = &activations;
    args.token_begin = task.token_begin;
    args.token_end = task.token_end;
    args.y = task.product->y;
    args.y_stride = task.product->weights->rows();
    args.scratch = scratch_[static_cast<size_t>(worker)].data();
    kernels_.matmul(args.weights->type())(args);
  });
}

// Few tokens: runs of tiles long enough to stream. Many: as many tiles as share an expansion, cut
// by tokens too where that leaves too few tasks to keep every worker busy to the end.
void Forward::split(std::span<const Product> products) {
  constexpr size_t kMany = 16, kExpandTiles = kernel::kExpandRows / kernel::kTileRows;
  size_t tiles = 0;
  for (const Product& p : products) tiles += p.weights->tiles();
  const size_t workers = static_cast<size_t>(pool_.size());
  const size_t few = std::max<size_t>(4, tiles / (4 * workers) / 2 * 2);
  const size_t run = tokens_ < kMany ? few : kExpandTiles;
  const size_t wanted = 8 * workers * run / std::max<size_t>(1, tiles);
  const size_t parts = std::clamp<size_t>(tokens_ / 128, 1, std::max<size_t>(1, wanted));
  tasks_.clear();
  for (const Product& p : products) {
    for (size_t t = 0; t < p.weights->tiles(); t += run) {
      for (size_t part = 0; part < parts; ++part) {
        const Range tokens = part_of(tokens_, 1, part, parts);
        tasks_.push_back({&p, t, std::min(p.weights->tiles(), t + run), tokens.begin, tokens.end});
      }
    }
  }
}

}  // namespace fathom::model
