#include "engine/recorder.h"

#include <algorithm>

#include "base/error.h"
#include "file/safetensors_writer.h"
#include "model/rope.h"

namespace fathom::engine {
namespace {

using file::ElementType;
using file::SafetensorsView;

void append(std::vector<float>& to, const float* from, size_t n) {
  to.insert(to.end(), from, from + n);
}

const model::RopeConfig& rope_of(const model::Config& c, size_t layer) {
  return c.windowed(layer) && c.has_local_rope ? c.local_rope : c.rope;
}

bool plain_rotation(const model::RopeConfig& rope, size_t head_dim) {
  return rope.scaling == model::RopeScaling::kNone && rope.short_factors.empty() &&
         rope.long_factors.empty() && rope.rotated == head_dim && rope.magnitude == 1.0;
}

// Rows [tokens][heads][head_dim] turned back by their positions' angles.
std::vector<float> unrotated(const std::vector<float>& rows, size_t heads,
                             const model::Config& config, const model::Rope& rope,
                             kernel::RopeStyle style) {
  const size_t d = config.head_dim, pairs = rope.pairs(), width = heads * d;
  std::vector<float> out = rows, cos(pairs), sin(pairs);
  const auto shrink = static_cast<float>(1.0 / (rope.magnitude() * rope.magnitude()));
  for (size_t t = 0; t < rows.size() / width; ++t) {
    rope.angles(static_cast<int32_t>(t), cos.data(), sin.data());
    for (size_t i = 0; i < pairs; ++i) cos[i] *= shrink, sin[i] *= -shrink;
    kernel::default_kernels().elementwise.rope(
        {out.data() + t * width, heads, d, 2 * pairs, cos.data(), sin.data(), style});
  }
  return out;
}

}  // namespace

LayerRecorder::LayerRecorder(const model::Config& config, std::span<const size_t> layers,
                             RecordOutput output)
    : config_(config), output_(output) {
  for (const size_t layer : layers) {
    FATHOM_CHECK(layer < config.layers);
    layers_.push_back({});
    layers_.back().layer = layer;
  }
}

void LayerRecorder::attended(const model::AttendCall& call, size_t rows) {
  const size_t q_width = config_.heads * config_.head_dim;
  const size_t k_width = config_.kv_heads * config_.head_dim;
  for (RecordedLayer& layer : layers_) {
    if (layer.layer != call.layer) continue;
    layer.scale = call.scale;
    layer.soft_cap = call.soft_cap;
    layer.window = call.window;
    append(layer.q, call.q, rows * q_width);
    append(layer.k, call.k, rows * k_width);
    append(layer.v, call.v, rows * k_width);
    if (output_ == RecordOutput::kYes) append(layer.out, call.out, rows * q_width);
  }
}

std::vector<RecordedLayer> record_layers(Runner& runner, std::span<const TokenId> tokens,
                                         std::span<const size_t> layers, const Progress& progress) {
  FATHOM_CHECK(!runner.policy().prefill && !runner.policy().keep);
  LayerRecorder recorder(runner.config(), layers);
  kv::SequenceCache cache = runner.new_cache();
  runner.observe(&recorder);
  try {
    runner.read(cache, tokens, progress);
  } catch (...) {
    runner.observe(nullptr);
    throw;
  }
  runner.observe(nullptr);
  return recorder.take();
}

size_t recording_bytes(const model::Config& c, size_t tokens) {
  return tokens * (c.heads + 2 * c.kv_heads) * c.head_dim * sizeof(float);
}

void write_recording(const RecordedLayer& layer, const Runner& runner, size_t prompt,
                     const std::string& path) {
  const model::Config& c = runner.config();
  const model::RopeConfig& config = rope_of(c, layer.layer);
  const model::Rope rope(config, runner.options().context);
  const auto plain_q = unrotated(layer.q, c.heads, c, rope, config.style);
  const auto plain_k = unrotated(layer.k, c.kv_heads, c, rope, config.style);
  const uint64_t tokens = layer.q.size() / (c.heads * c.head_dim);
  const auto view = [&](const char* name, size_t heads, const std::vector<float>& values) {
    return file::safetensors_view(name, ElementType::kF32, {tokens, heads, c.head_dim},
                                  std::span<const float>(values));
  };
  const SafetensorsView tensors[] = {
      view("q", c.heads, layer.q), view("k", c.kv_heads, layer.k), view("v", c.kv_heads, layer.v),
      view("q_unrotated", c.heads, plain_q), view("k_unrotated", c.kv_heads, plain_k)};
  std::map<std::string, std::string> metadata = {
      {"prompt_tokens", std::to_string(prompt)},
      {"layer", std::to_string(layer.layer)},
      {"scale", fmt::format("{}", layer.scale)},
      {"rope", config.style == kernel::RopeStyle::kHalf ? "halves" : "interleaved pairs"},
      {"model", c.name}};
  if (plain_rotation(config, c.head_dim)) {
    metadata["rope_freq_base"] = fmt::format("{}", config.base);
  }
  if (layer.window > 0) metadata["window"] = std::to_string(layer.window);
  if (layer.soft_cap > 0) metadata["soft_cap"] = fmt::format("{}", layer.soft_cap);
  file::write_safetensors(path, tensors, metadata);
}

}  // namespace fathom::engine
