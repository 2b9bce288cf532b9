// Every policy of the registry lies between one that draws by lot and one that knows, at equal
// cost.
//
// Below: eviction by lot of as many tokens as the method keeps (KEEP), as its bytes hold (STORE),
// as pairs it reads (PREFILL); eighths of pages by lot, of as many keys as it reads (FETCH). Judged
// by divergence from dense attention on decoded prose. Above: for KEEP one that knows where the
// asked fact stands, judged by the fact's answer; for FETCH the keys with the most attention,
// judged by the attention on what is read. For STORE and PREFILL it is dense attention itself.
//
// The same windows under both, compared window by window: the exact test that swaps the two in any
// subset of windows. With ten of them and some fifty methods (Bonferroni) a method is only called
// worse than the lot where it is so in every single window.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "eval/checks.h"
#include "eval/controls.h"
#include "eval/divergence.h"
#include "eval/prose.h"
#include "eval/run.h"
#include "eval/sequence.h"
#include "eval/task/task.h"
#include "kv/registry.h"
#include "support/bundled_engine.h"
#include "support/method_lines.h"

namespace fathom::eval {
namespace {

using kv::Method;
using kv::Stage;

constexpr size_t kWindows = 10, kSteps = 24;
constexpr size_t kShort = 320, kLong = 768;  // tokens; long for PREFILL, which reads blocks of 64
constexpr double kLevel = 0.05;              // of all methods together

const engine::Engine& bundled() { return test::bundled_engine(); }

const std::vector<ForcedText>& windows(size_t length) {
  static std::map<size_t, std::vector<ForcedText>> known;
  auto& out = known[length];
  if (out.empty()) out = prose_windows(bundled(), Library(), 7, length, kWindows);
  return out;
}

// One-sided p of "the first is larger", by all ways to swap the two.
double larger_by_chance(const std::vector<double>& first, const std::vector<double>& second) {
  const size_t n = first.size(), all = size_t{1} << n;
  std::vector<double> d(n);
  double seen = 0;
  for (size_t i = 0; i < n; ++i) seen += d[i] = first[i] - second[i];
  size_t as_large = 0;
  for (size_t swap = 0; swap < all; ++swap) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += (swap >> i & 1) != 0 ? -d[i] : d[i];
    as_large += sum >= seen - 1e-12;
  }
  return double(as_large) / double(all);
}

struct Loss {
  std::vector<double> kl, mass;  // of windows
};
Loss loss_of(const std::string& line, size_t length) {
  const Subject dense = make_subject(bundled(), "store=f32", Watch::kAlsoAll);
  const Subject other = make_subject(bundled(), line, Watch::kAlsoAll);
  Loss out;
  for (const ForcedText& w : windows(length)) {
    const Divergence d =
        measure_divergence(dense, other, {&w, 1}, {PositionSet::kDecode, kSteps, 0});
    out.kl.push_back(d.kl.value);
    out.mass.push_back(d.mass_recall->value);
  }
  return out;
}

// What is kept, held, and read of a text.
struct Price {
  double tokens, bytes, pairs, keys;
};
Price price_of(const std::string& line, size_t length) {
  const Subject subject = make_subject(bundled(), line);
  const std::span<const engine::TokenId> tokens(windows(length)[0].tokens);
  Sequence text(*subject.engine);
  kv::Attender& attender = subject.engine->runner().attender();
  attender.reset_account();
  text.read(tokens.first(length - kSteps));
  Price out{0, double(text.cache().bytes()), attender.account().density(), 1};
  const kv::CacheShape& shape = text.cache().shape();
  for (size_t l = 0; l < shape.layers; ++l) {
    for (size_t h = 0; h < shape.kv_heads; ++h) {
      out.tokens += double(text.cache().head(l, h).length());
    }
  }
  text.append(tokens.last(kSteps));
  out.keys = attender.fetch_account().share();
  return out;
}

// The share of dense attention's cost that a line of a stage has.
double share_of(Stage stage, const std::string& line, size_t length) {
  const Price own = price_of(line, length), dense = price_of("store=f32", length);
  switch (stage) {
    case Stage::kPrefill:
      return own.pairs;
    case Stage::kKeep:
      return own.tokens / dense.tokens;
    case Stage::kStore:
      return own.bytes / dense.bytes;
    default:
      return own.keys;
  }
}

// A line of a method, and the tokens that a control of the same cost has.
struct Bracketed {
  std::string line;
  size_t length, budget;
};
Bracketed bracket(const Method& m) {
  static const test::MethodLines lines(bundled().runner().config().layers,
                                       bundled().runner().config().kv_heads);
  const Stage stage = m.info.stage;
  Bracketed out;
  out.line = lines.tight(m) + (stage == Stage::kStore ? "" : " store=f32");
  out.length = stage == Stage::kPrefill ? kLong : kShort;
  const double share = share_of(stage, out.line, out.length);
  out.budget = std::max<size_t>(8, size_t(std::ceil(share * double(out.length))));
  return out;
}

std::vector<const Method*> methods() {
  std::vector<const Method*> out;
  for (const Method& m : kv::all_methods()) {
    const bool plain = m.info.name == "all" || m.info.name == "dense" || m.info.name == "f32" ||
                       m.info.name == "f16" || m.info.name == "bf16" || m.info.name == "auto";
    if (!plain) out.push_back(&m);
  }
  return out;
}

double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum / double(v.size());
}

class EveryPolicy : public testing::TestWithParam<const Method*> {};

TEST_P(EveryPolicy, IsNotWorseThanTheLot) {
  const Bracketed b = bracket(*GetParam());
  ASSERT_LT(b.budget, b.length * 3 / 4) << b.line << " leaves too little out to say anything";
  const bool fetch = GetParam()->info.stage == Stage::kFetch;
  const std::string lot =
      fmt::format("{}(budget={}{}) store=f32", fetch ? "fetch=random" : "keep=random", b.budget,
                  fetch ? ",page=8" : "");
  const std::vector<double> own = loss_of(b.line, b.length).kl, other = loss_of(lot, b.length).kl;
  RecordProperty("kl", std::to_string(mean_of(own)));
  RecordProperty("kl_of_the_lot", std::to_string(mean_of(other)));
  RecordProperty("p_better", std::to_string(larger_by_chance(other, own)));
  EXPECT_GT(larger_by_chance(own, other), kLevel / double(methods().size()))
      << b.line << ": KL " << mean_of(own) << ", of " << lot << " " << mean_of(other);
}

std::string name_of(const testing::TestParamInfo<const Method*>& info) {
  return std::string(kv::stage_name(info.param->info.stage)) + "_" +
         std::string(info.param->info.name);
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryPolicy, testing::ValuesIn(methods()), name_of);

std::vector<const Method*> methods_of(Stage stage) {
  std::vector<const Method*> out;
  for (const Method* m : methods()) {
    if (m->info.stage == stage) out.push_back(m);
  }
  return out;
}

// Of as many keys, the ones with the most attention hold most of it.
class EveryFetch : public testing::TestWithParam<const Method*> {};

TEST_P(EveryFetch, ReadsNoMoreAttentionThanTheOracle) {
  const Bracketed b = bracket(*GetParam());
  const std::string oracle = fmt::format("fetch=oracle(budget={},page=1) store=f32", b.budget);
  const std::vector<double> own = loss_of(b.line, b.length).mass,
                            best = loss_of(oracle, b.length).mass;
  RecordProperty("mass", std::to_string(mean_of(own)));
  RecordProperty("mass_of_the_oracle", std::to_string(mean_of(best)));
  EXPECT_GT(larger_by_chance(own, best), kLevel / double(methods_of(Stage::kFetch).size()))
      << b.line << " reads " << mean_of(own) << ", " << oracle << " " << mean_of(best);
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryFetch, testing::ValuesIn(methods_of(Stage::kFetch)),
                         name_of);

// Texts with facts, one of which is asked for.
const std::vector<Instance>& asked() {
  static const std::vector<Instance> all = [] {
    const Library library;
    const Meter meter{[](std::string_view t) { return bundled().tokenizer().encode(t).size(); },
                      frame_tokens(bundled(), 1)};
    std::vector<Instance> out;
    for (size_t i = 0; i < kWindows; ++i) {
      Draw draw;
      draw.task = choose_tasks("needle/facts").at(0);
      draw.library = &library;
      draw.meter = &meter;
      draw.length = 512;
      draw.index = i;
      draw.instances = kWindows;
      out.push_back(make_instance(draw));
      out.back().turns.resize(1);
    }
    return out;
  }();
  return all;
}

// -ln p of a token of the right answers.
std::vector<double> surprise_at_answers(const std::string& line) {
  const Subject subject = make_subject(bundled(), line);
  std::vector<double> out;
  for (const Instance& i : asked()) {
    out.push_back(run_instance(subject, i, {.generate = false}).at(0).gold_nll.value());
  }
  return out;
}

class EveryKeep : public testing::TestWithParam<const Method*> {};

TEST_P(EveryKeep, FindsNoMoreFactsThanOneWhoKnows) {
  const Bracketed b = bracket(*GetParam());
  // Its own share of a longer text, and what was asked for beside the newest tokens.
  const size_t budget = std::max<size_t>(48, b.budget * 512 / b.length);
  const std::string knows = fmt::format("keep=gold(budget={}) store=f32", budget);
  const std::vector<double> own = surprise_at_answers(b.line), best = surprise_at_answers(knows);
  RecordProperty("nll", std::to_string(mean_of(own)));
  RecordProperty("nll_of_who_knows", std::to_string(mean_of(best)));
  EXPECT_GT(larger_by_chance(best, own), kLevel / double(methods_of(Stage::kKeep).size()))
      << b.line << ": " << mean_of(own) << " nats, " << knows << " " << mean_of(best);
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryKeep, testing::ValuesIn(methods_of(Stage::kKeep)), name_of);

// Ten windows are enough to tell: what knows is better than the lot, in every one of them.
TEST(Brackets, AreApart) {
  const auto lot = loss_of("fetch=random(budget=48,page=8) store=f32", kShort),
             oracle = loss_of("fetch=oracle(budget=48,page=1) store=f32", kShort);
  EXPECT_LE(larger_by_chance(oracle.mass, lot.mass), 1.0 / 1024);
  EXPECT_LE(larger_by_chance(lot.kl, oracle.kl), 1.0 / 1024);
  EXPECT_LT(larger_by_chance(surprise_at_answers("keep=random(budget=48) store=f32"),
                             surprise_at_answers("keep=gold(budget=48) store=f32")),
            0.01);
}

TEST(LargerByChance, CountsTheWaysToSwap) {
  EXPECT_DOUBLE_EQ(larger_by_chance({1, 2, 3}, {0, 0, 0}), 1.0 / 8);
  EXPECT_DOUBLE_EQ(larger_by_chance({0, 0, 0}, {1, 2, 3}), 1);
  EXPECT_DOUBLE_EQ(larger_by_chance({1, 1}, {1, 1}), 1);
  EXPECT_DOUBLE_EQ(larger_by_chance({3, 0}, {0, 1}), 0.5);
}

}  // namespace
}  // namespace fathom::eval
