#include "kv/method.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kv/registry.h"

namespace fathom::kv {
namespace {

constexpr ParameterInfo kParameters[] = {
    {"budget", "1024", "", 1, 1e9, "tokens"},
    {"pool", "max", "max|avg", 0, 0, "how scores are smoothed"},
};
MethodInfo info() {
  MethodInfo m;
  m.name = "example";
  m.parameters = kParameters;
  return m;
}

Error error_of(const std::map<std::string, std::string>& typed) {
  const MethodInfo m = info();
  try {
    Parameters(m, typed, "--kv");
  } catch (const Error& e) {
    return e;
  }
  return {ErrorCode::kInternal, "", "no error"};
}

TEST(Parameters, DefaultsAndTypedValues) {
  const MethodInfo m = info();
  const Parameters p(m, {{"budget", "64"}}, "--kv");
  EXPECT_EQ(p.count("budget"), 64u);
  EXPECT_EQ(p.text("pool"), "max");
  EXPECT_EQ(p.line(), "example(budget=64,pool=max)");
}

TEST(Parameters, MistakesAreExplained) {
  EXPECT_STREQ(error_of({{"budgte", "1"}}).what(), "--kv: 'example' has no parameter 'budgte'");
  EXPECT_EQ(error_of({{"budgte", "1"}}).hint(), "did you mean 'budget'? known: budget, pool");
  for (const char* bad : {"0", "2e9", "x", "1x", "", "nan", "-3"}) {
    EXPECT_EQ(error_of({{"budget", bad}}).code(), ErrorCode::kUsage) << bad;
  }
  EXPECT_EQ(error_of({{"pool", "ma"}}).hint(), "one of max|avg");
}

TEST(Registry, EveryMethodCanBeMadeFromItsDefaults) {
  for (const Method& m : all_methods()) {
    SCOPED_TRACE(m.info.name);
    EXPECT_FALSE(m.info.summary.empty());
    const Parameters p(m.info, {}, "--kv");  // defaults pass their own ranges
    for (const ParameterInfo& i : m.info.parameters) {
      EXPECT_NO_THROW(Parameters(m.info, {{std::string(i.name), std::string(i.value)}}, "--kv"));
      EXPECT_FALSE(i.help.empty());
    }
    EXPECT_EQ((m.prefill != nullptr) + (m.filter != nullptr) + (m.keep != nullptr) +
                  (m.fetch != nullptr) + (m.store != nullptr),
              1);
    EXPECT_EQ(find_method(m.info.stage, m.info.name), &m);
  }
}

}  // namespace
}  // namespace fathom::kv
