#include "engine/recorder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/engine.h"
#include "eval/haystack.h"
#include "kv/replay/replay.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace fathom::engine {
namespace {

struct Recorded {
  std::shared_ptr<Engine> engine;
  std::vector<TokenId> tokens;
  std::vector<RecordedLayer> layers;
};

Recorded record(const std::string& model, size_t n) {
  Recorded out;
  ModelOptions options;
  options.threads = 2;
  options.kv = "store=f32";
  options.kv_bytes = size_t{64} << 20;
  options.context = n;
  options.batch = 100;  // several steps
  out.engine = Engine::load(model, options);
  Runner& runner = out.engine->runner();
  out.tokens = out.engine->tokenizer().encode(
      eval::make_haystack({.seed = 9, .characters = 6 * n, .facts = 1}).text);
  out.tokens.resize(n);
  std::vector<size_t> all(runner.config().layers);
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  LayerRecorder recorder(runner.config(), all, RecordOutput::kYes);
  kv::SequenceCache cache = runner.new_cache();
  runner.observe(&recorder);
  runner.read(cache, out.tokens);
  runner.observe(nullptr);
  out.layers = recorder.take();
  return out;
}

// |a - b| / |b|
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double off = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    off += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    size += double{b[i]} * b[i];
  }
  return std::sqrt(off / size);
}

TEST(Recorder, AReplayOfARecordingGivesTheModelsOwnAttention) {
  const test::TempDir folder;
  const Recorded r = record(test::bundled_model(), 300);
  ASSERT_EQ(r.layers.size(), r.engine->model().config().layers);
  for (const RecordedLayer& layer : r.layers) {
    const std::string path = folder.file("layer.safetensors");
    write_recording(layer, r.engine->runner(), 280, path);
    const kv::Recording recording(path);
    EXPECT_EQ(recording.tokens(), 300u);
    EXPECT_EQ(recording.prompt(), 280u);
    EXPECT_EQ(recording.layer(), layer.layer);
    const kv::Policy policy = kv::make_policy(kv::parse_policy("prefill=dense store=f32"), {});
    kv::Replay replay(recording, policy, r.engine->runner().threads());
    kv::run_replay(replay);
    // The model's kernels are f32, and its exponential is good to a few 2^-23; a row sums 300
    // terms.
    EXPECT_LT(distance(replay.out, layer.out), 300 * std::ldexp(1.0, -23)) << layer.layer;
  }
}

// Layers with a soft cap, with a window, with both and with neither.
TEST(Recorder, SoftCapsAndWindowsArePartOfARecording) {
  const test::TempDir folder;
  for (const char* model : {"gemma2", "gemma3"}) {
    const auto runner = test::tiny_model(model, "");
    const model::Config& c = runner->config();
    std::vector<size_t> all(c.layers);
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    LayerRecorder recorder(c, all, RecordOutput::kYes);
    kv::SequenceCache cache = runner->new_cache();
    runner->observe(&recorder);
    runner->read(cache, test::random_tokens(120, c.vocab, 3));
    runner->observe(nullptr);
    size_t windowed = 0;
    for (const RecordedLayer& layer : recorder.take()) {
      const std::string path = folder.file("layer.safetensors");
      write_recording(layer, *runner, 110, path);
      const kv::Recording recording(path);
      EXPECT_EQ(recording.soft_cap(), c.attention_soft_cap);
      EXPECT_EQ(recording.window(), c.windowed(layer.layer) ? c.window : 0);
      windowed += recording.window() > 0;
      const kv::Policy policy = kv::make_policy(kv::parse_policy("store=f32"), {});
      kv::Replay replay(recording, policy, runner->threads());
      kv::run_replay(replay);
      EXPECT_LT(distance(replay.out, layer.out), 120 * std::ldexp(1.0, -23)) << layer.layer;
    }
    EXPECT_GT(windowed, 0u);
    EXPECT_LT(windowed, c.layers);
  }
}

// What was turned back by its position's angle turns forth again into what was recorded.
TEST(Recorder, UnrotatedKeysRotateIntoTheRecordedOnes) {
  const test::TempDir folder;
  const Recorded r = record(test::bundled_model(), 200);
  const std::string path = folder.file("layer.safetensors");
  write_recording(r.layers[1], r.engine->runner(), 200, path);
  const kv::Recording recording(path);
  ASSERT_TRUE(recording.rope_base());
  const size_t d = recording.head_dim();
  const bool halves = recording.rope_style() == kernel::RopeStyle::kHalf;
  double worst = 0, moved = 0;
  for (size_t t = 0; t < 200; ++t) {
    const kv::HeadView head = recording.head(0, 200);
    for (size_t i = 0; i < d / 2; ++i) {
      const double angle =
          double(t) * std::pow(*recording.rope_base(), -2.0 * double(i) / double(d));
      const size_t a = halves ? i : 2 * i, b = halves ? i + d / 2 : 2 * i + 1;
      const double x = head.k_unrotated[t * d + a], y = head.k_unrotated[t * d + b];
      const double want = x * std::cos(angle) - y * std::sin(angle);
      worst = std::max(worst, std::fabs(want - head.key(t)[a]) / std::hypot(x, y));
      moved = std::max(moved, std::fabs(x - head.key(t)[a]));
    }
  }
  EXPECT_LT(worst, 8 * std::ldexp(1.0, -23)) << "two rotations in f32";
  EXPECT_GT(moved, 0.1) << "nothing was rotated at all";
}

TEST(Recorder, DecodeStepsAreRecordedAsReadingIs) {
  const Recorded r = record(test::bundled_model(), 130);
  Runner& runner = r.engine->runner();
  const size_t last[] = {runner.config().layers - 1};
  LayerRecorder recorder(runner.config(), last);
  kv::SequenceCache cache = runner.new_cache();
  runner.observe(&recorder);
  runner.read(cache, std::span(r.tokens).first(120));
  for (size_t t = 120; t < 130; ++t) runner.read(cache, std::span(r.tokens).subspan(t, 1));
  runner.observe(nullptr);
  EXPECT_EQ(recorder.take()[0].q, r.layers.back().q);
}

}  // namespace
}  // namespace fathom::engine
