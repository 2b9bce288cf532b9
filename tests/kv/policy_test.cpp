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

TEST(Policy, NearestWords) {
  const std::string_view words[] = {"quest", "recycled", "all"};
  EXPECT_EQ(nearest("qest", words), "quest");
  EXPECT_EQ(nearest("recicled", words), "recycled");
  EXPECT_EQ(nearest("xylophone", words), "");
}

}  // namespace
}  // namespace fathom::kv
