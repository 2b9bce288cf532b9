// Recording what layers attend to while a model reads a text, as files that `fathom replay` and
// kv::Recording read.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/cache_attention.h"
#include "engine/runner.h"

namespace fathom::engine {

// Queries, keys and values of a layer, of the tokens in their order; all rotated.
struct RecordedLayer {
  size_t layer = 0;
  float scale = 1.0f, soft_cap = 0.0f;
  int32_t window = 0;
  std::vector<float> q, out;  // [tokens][heads][head_dim]; out only where it was asked for
  std::vector<float> k, v;    // [tokens][kv_heads][head_dim]
};

enum class RecordOutput : uint8_t { kNo, kYes };

class LayerRecorder final : public AttentionObserver {
 public:
  // REQUIRES: layers below config.layers, ascending.
  LayerRecorder(const model::Config& config, std::span<const size_t> layers,
                RecordOutput output = RecordOutput::kNo);

  void attended(const model::AttendCall& call, size_t rows) override;
  std::vector<RecordedLayer> take() { return std::move(layers_); }

 private:
  const model::Config& config_;
  RecordOutput output_;
  std::vector<RecordedLayer> layers_;
};

// Reads the tokens with everybody attending to everything, and records these layers. Reports
// "reading"; an early end leaves fewer tokens. REQUIRES: the runner's policy is dense and keeps
// all.
std::vector<RecordedLayer> record_layers(Runner& runner, std::span<const TokenId> tokens,
                                         std::span<const size_t> layers,
                                         const Progress& progress = {});

// Bytes that recording a layer of `tokens` tokens takes.
size_t recording_bytes(const model::Config& config, size_t tokens);

// Writes the layer as a recording whose last tokens, from `prompt` on, are decode steps. Unrotated
// keys and queries are in it, computed back from the rotated ones; `rope_freq_base` is where the
// model's rotation is that of the base alone, over the whole head. The layer's window and soft
// cap are part of it.
void write_recording(const RecordedLayer& layer, const Runner& runner, size_t prompt,
                     const std::string& path);

}  // namespace fathom::engine
