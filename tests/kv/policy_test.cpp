#include "kv/policy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom::kv {
namespace {

std::string line(std::string_view text) {
  return make_policy(parse_policy(text), kernel::KvFormat::kBF16).line;
}

Error error_of(std::string_view text) {
  try {
    parse_policy(text);
  } catch (const Error& e) {
    return e;
  }
  return {ErrorCode::kInternal, "", "no error"};
}

TEST(Policy, LinesAreCompletedWithDefaults) {
  EXPECT_EQ(line(""), "prefill=dense keep=all store=bf16 fetch=all");
  EXPECT_EQ(line("store=f16"), "prefill=dense keep=all store=f16 fetch=all");
  EXPECT_EQ(line("  fetch=all   store=f32() "), "prefill=dense keep=all store=f32 fetch=all");
  EXPECT_EQ(line(line("store=f16")), line("store=f16"));
}

TEST(Policy, MistakesGetTheNearestName) {
  EXPECT_STREQ(error_of("stor=f16").what(), "--kv: stage 'stor' is not known");
  EXPECT_EQ(error_of("stor=f16").hint().rfind("did you mean 'store'?", 0), 0u);
  EXPECT_STREQ(error_of("store=f61").what(), "--kv: store method 'f61' is not known");
  EXPECT_EQ(error_of("store=f61").hint().rfind("did you mean 'f16'?", 0), 0u);
  EXPECT_STREQ(error_of("keep=all keep=all").what(), "--kv: stage 'keep' is named twice");
  EXPECT_STREQ(error_of("store=f16(x=1)").what(), "--kv: 'f16' has no parameter 'x'");
  EXPECT_STREQ(error_of("store").what(), "--kv: '=' is expected at character 6 of 'store'");
  EXPECT_NE(error_of("store=f16(").what(), std::string("no error"));
  EXPECT_NE(error_of("=").what(), std::string("no error"));
}

TEST(Policy, CountsAreWholeNumbers) {
  EXPECT_THROW(line("keep=snapkv(budget=100.5)"), Error);
  EXPECT_THROW(line("store=q8(tail=0.5)"), Error);
  EXPECT_NO_THROW(line("keep=snapkv(budget=1e2)"));
}

std::string store(std::string_view text) {
  const std::string whole = line(text);
  const size_t at = whole.find("store=") + 6;
  return whole.substr(at, whole.find(' ', at) - at);
}

TEST(Policy, StoresTakeSidesAndLayersApart) {
  EXPECT_EQ(store("store=q8/k2v2"), "q8(tail=64)/k2v2(tail=64)");
  EXPECT_EQ(store("store=f16[layers=0-1],k4v4"), "f16[layers=0-1],k4v4(tail=64)");
  EXPECT_EQ(store("store=f16[layers=3],q8(tail=0)/f32[layers=4-5],auto keep=all"),
            "f16[layers=3],q8(tail=0)/f32[layers=4-5],bf16");
  for (const char* text : {"store=q8/k2v2", "store=f16[layers=0-1],k4v4", "store=k16v4/q8(tail=7)",
                           "store=f32/k4v4[layers=0],q8/auto[layers=2-9],k2v2"}) {
    EXPECT_EQ(line(line(text)), line(text));
  }
}

TEST(Policy, TheFirstStoreThatHasALayerCounts) {
  const Policy p =
      make_policy(parse_policy("store=f32[layers=0-3],q8(tail=0)/f16[layers=2-5],k4v4"),
                  kernel::KvFormat::kBF16);
  for (size_t layer = 0; layer < 8; ++layer) {
    const StoreCodec& codec = p.store.of(layer);
    if (layer < 4) {
      EXPECT_FALSE(codec.seals());
      EXPECT_EQ(codec.format(), kernel::KvFormat::kF32);
    } else if (layer < 6) {
      EXPECT_EQ(codec.format(), kernel::KvFormat::kF16);
      EXPECT_EQ(codec.sealed_key_format(), kernel::KvFormat::kQ8);
      EXPECT_EQ(codec.sealed_value_format(), kernel::KvFormat::kF16);
    } else {
      EXPECT_EQ(codec.format(), kernel::KvFormat::kBF16);
      EXPECT_EQ(codec.sealed_key_format(), kernel::KvFormat::kQ4);
    }
  }
  EXPECT_NO_THROW(p.store.require_layers(6));
  try {
    p.store.require_layers(5);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "--kv: store=q8(tail=0)/f16[layers=2-5]: there is no layer 5");
    EXPECT_EQ(e.hint(), "the model's layers are 0 to 4");
  }
}

TEST(Policy, MistakesInStoresAreExplained) {
  EXPECT_STREQ(error_of("store=q8/k2v3").what(), "--kv: store method 'k2v3' is not known");
  EXPECT_EQ(error_of("store=q8/k2v3").hint().rfind("did you mean 'k2v2'?", 0), 0u);
  EXPECT_STREQ(error_of("store=q8[layer=1],f16").what(),
               "--kv: a store's choice 'layer' is not known");
  for (const char* range : {"", "x", "2-1", "1-", "-1", "1-2-3", "99999999999999999999"}) {
    const std::string text = "store=q8[layers=" + std::string(range) + "],f16";
    EXPECT_EQ(error_of(text).what(), "--kv: '" + std::string(range) + "' is not a range of layers");
  }
  EXPECT_STREQ(error_of("store=q8[layers=1-2]").what(),
               "--kv: store= does not say what other layers use");
  EXPECT_STREQ(error_of("store=q8,f16").what(),
               "--kv: 'q8' is for all layers that are left, so nothing can follow it");
  EXPECT_STREQ(error_of("store=q8[layers=1").what(),
               "--kv: ']' is expected at character 18 of 'store=q8[layers=1'");
  EXPECT_STREQ(error_of("store=q8 store=f16").what(), "--kv: stage 'store' is named twice");
  EXPECT_THROW(line("store=f16/bf16"), Error);
  EXPECT_EQ(store("store=bf16/bf16"), "bf16/bf16");
}

TEST(Policy, NearestWords) {
  const std::string_view words[] = {"quest", "recycled", "all"};
  EXPECT_EQ(nearest("qest", words), "quest");
  EXPECT_EQ(nearest("recicled", words), "recycled");
  EXPECT_EQ(nearest("xylophone", words), "");
}

}  // namespace
}  // namespace fathom::kv
