// S2: what every store costs in perplexity on a book, with the bundled model in steps of 64 tokens,
// so that most attention reads coded pages.
#include <gtest/gtest.h>

#include <cmath>

#include "eval/perplexity.h"
#include "kv/registry.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

double perplexity_with(const std::string& store) {
  ModelOptions options;
  options.kv = "store=" + store;
  options.batch = 64;
  options.context = 1024;
  const auto engine = engine::Engine::load(test::bundled_model(), options);
  const std::string text = test::read_file(*test::shared("corpus/books/moby-dick.txt"));
  const auto ids = engine->tokenizer().encode(std::string_view(text).substr(0, 20000));
  return perplexity(*engine, std::span(ids).first(2048), 1024).value;
}

class EveryStore : public testing::TestWithParam<std::string> {};

// Below 4 bits a number some loss is in the method; others lose next to nothing.
TEST_P(EveryStore, S2_PerplexityStays) {
  FATHOM_NEEDS_SHARED("corpus/books/moby-dick.txt");
  static const double exact = perplexity_with("f32");
  const bool two_bits = GetParam().find("2") != std::string::npos && GetParam() != "f32";
  EXPECT_NEAR(std::log(perplexity_with(GetParam()) / exact), 0, two_bits ? 0.05 : 0.01);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const kv::Method& m : kv::all_methods()) {
    if (m.info.stage == kv::Stage::kStore) all.emplace_back(m.info.name);
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryStore, testing::ValuesIn(names()),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace fathom::eval
