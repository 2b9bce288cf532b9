// What a model's size, first token and key channels are, beside what its cache and decoding say.
#include "eval/model_traits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "eval/controls.h"
#include "eval/library.h"
#include "eval/prose.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

std::shared_ptr<engine::Engine> bundled() {
  ModelOptions options;
  options.threads = 1;
  options.kv = "store=f32";
  return engine::Engine::load(test::bundled_model(), options);
}

// Token by token, with the weights that an evaluation sees.
TEST(ModelTraits, AreThoseOfDecoding) {
  const auto engine = bundled();
  const ModelTraits traits = measure_traits(*engine);
  const model::Config& c = engine->model().config();
  ASSERT_EQ(traits.sink_mass.size(), c.layers);
  EXPECT_EQ(traits.tokens, 512u);
  const Subject watched = make_subject(*engine, "store=f32", Watch::kAlsoAll);
  engine::Runner& runner = watched.engine->runner();
  const auto text = prose_windows(*engine, Library(), 42, 512, 1)[0].tokens;
  kv::SequenceCache cache = runner.new_cache();
  runner.read(cache, std::span(text).first(256));
  watched.marks->record = true;
  std::vector<double> mass(c.layers);
  for (size_t t = 256; t < 512; ++t) {
    const engine::StepPart part{&cache, {&text[t], 1}};
    runner.step({&part, 1});
    if (t % 8 != 0) continue;
    for (size_t i = 0; i < c.layers * c.kv_heads; ++i) {
      mass[i / c.kv_heads] += watched.marks->steps[i].weights[0] / double(32 * c.kv_heads);
    }
  }
  for (size_t l = 0; l < c.layers; ++l) {
    EXPECT_NEAR(*traits.sink_mass[l], mass[l], 1e-4) << l;
    double most = 0;
    for (size_t h = 0; h < c.kv_heads; ++h) {
      std::vector<float> keys(512 * c.head_dim);
      cache.read_keys(l, h, 0, keys);
      std::vector<double> channels(c.head_dim);
      for (size_t i = 0; i < keys.size(); ++i) channels[i % c.head_dim] += std::abs(keys[i]);
      std::sort(channels.begin(), channels.end());
      const double middle = (channels[(c.head_dim - 1) / 2] + channels[c.head_dim / 2]) / 2;
      most = std::max(most, channels.back() / middle);
    }
    EXPECT_NEAR(traits.channel_ratio[l], most, 1e-3 * most) << l;
  }
  EXPECT_GT(traits.parameters, 1'000'000u);
  EXPECT_LT(traits.parameters, 20'000'000u);
}

ordered_json run_of(double parameters) {
  ModelTraits t;
  t.parameters = static_cast<size_t>(parameters);
  t.head_dim = 32;
  t.tokens = 512;
  t.even = 0.0026;
  t.sink_mass = {0.125, std::nullopt};
  t.channel_ratio = {2.5, 31};
  return {{"traits", traits_json(t)}};
}

TEST(Caveats, AreOfSmallModels) {
  const std::string text = caveats_text(run_of(8.9e6));
  EXPECT_THAT(text, HasSubstr("A small model, 8.9 million parameters"));
  EXPECT_THAT(text, HasSubstr("in percent: 12.5, -."));
  EXPECT_THAT(text, HasSubstr("by layer: 2.5, 31.0."));
  EXPECT_THAT(text, HasSubstr("32 channels"));
  EXPECT_EQ(caveats_text(run_of(1.2e9)), "");
}

TEST(Caveats, DoNotTrustTheFile) {
  EXPECT_EQ(caveats_text({}), "");
  EXPECT_EQ(caveats_text({{"traits", 3}}), "");
  for (const char* key : {"parameters", "first_token_weight", "key_channel_ratio", "even_weight"}) {
    ordered_json run = run_of(1e6);
    run["traits"][key] = "x";
    EXPECT_EQ(caveats_text(run), "") << key;
  }
  ordered_json run = run_of(1e6);
  run["traits"]["key_channel_ratio"] = {"<script>", 1};
  EXPECT_THAT(caveats_text(run), HasSubstr("by layer: -, 1.0."));
}

}  // namespace
}  // namespace fathom::eval
