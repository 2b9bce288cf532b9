// What attention gives a query, computed anew: by hand, and beside what the engine computes.
#include "eval/attention_output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/cache_attention.h"
#include "eval/controls.h"
#include "eval/library.h"
#include "eval/lockstep.h"
#include "eval/prose.h"
#include "eval/watched_fetch.h"
#include "kv/vector.h"
#include "support/bundled_engine.h"
#include "support/method_lines.h"

namespace fathom::eval {
namespace {

// Keys of one channel; token 1 is not read.
struct MadeKeys {
  std::vector<float> k = {1, 100, 2}, v = {10, 1000, 20};

  kv::HeadView view(float soft_cap = 0) const {
    kv::HeadView out;
    out.head_dim = 1;
    out.tokens = 3;
    out.k = k.data();
    out.v = v.data();
    out.scale = 0.5f;
    out.soft_cap = soft_cap;
    return out;
  }
};
const kv::Runs kEnds = {{0, 1}, {2, 3}};

TEST(AttendTo, FollowsTheDefinition) {
  const MadeKeys made;
  const float q = 2;  // scores 1 and 2
  const AttentionOutput o = attend_to(made.view(), &q, kEnds);
  const double a = std::exp(1.0), b = std::exp(2.0);
  EXPECT_NEAR(o.lse, std::log(a + b), 1e-12);
  EXPECT_NEAR(o.out.at(0), (10 * a + 20 * b) / (a + b), 1e-9);
  const AttentionOutput capped = attend_to(made.view(1.5f), &q, kEnds);
  EXPECT_NEAR(capped.lse,
              std::log(std::exp(1.5 * std::tanh(1 / 1.5)) + std::exp(1.5 * std::tanh(2 / 1.5))),
              1e-6);
  const AttentionOutput nothing = attend_to(made.view(), &q, {});
  EXPECT_EQ(nothing.out, std::vector<double>{0});
}

TEST(AttendTo, OneTokenAfterTheOtherIsTheSame) {
  const MadeKeys made;
  const float q = 2, v[] = {10, 20};
  AttentionOutput o;
  o.join(2, {&v[1], 1});
  EXPECT_EQ(o.lse, 2);
  EXPECT_EQ(o.out.at(0), 20);
  o.join(1, {&v[0], 1});
  const AttentionOutput both = attend_to(made.view(), &q, kEnds);
  EXPECT_NEAR(o.lse, both.lse, 1e-12);
  EXPECT_NEAR(o.out[0], both.out[0], 1e-9);
  // A token that stands for three of the same.
  kv::ExtraToken extra{{2}, {20}, 3};
  AttentionOutput joined;
  join_extra(joined, extra, &q, {0.5f, 0});
  EXPECT_NEAR(joined.lse, 2 + std::log(3), 1e-6);
  extra.count = 0;
  join_extra(joined, extra, &q, {0.5f, 0});
  EXPECT_NEAR(joined.lse, 2 + std::log(3), 1e-6) << "there is none";
}

TEST(KeyCopy, WeighsAsAttentionDoes) {
  MadeKeys made;
  made.k = {1, 3, 2};
  KeyCopy keys;
  keys.update(made.view());
  const float q = 2;
  kv::QueryView query;
  query.tokens = 1;
  query.q = &q;
  const double cap = 1.5, a = std::exp(cap * std::tanh(1 / cap)),
               b = std::exp(cap * std::tanh(3 / cap)), c = std::exp(cap * std::tanh(2 / cap));
  const auto weights = keys.weights(made.view(1.5f), query);
  EXPECT_NEAR(weights.at(1), b / (a + b + c), 1e-6);
}

TEST(CompareOutputs, SaysHowFarAndWhatIsMissed) {
  AttentionOutput p, q;
  p.out = {3, 4};
  p.lse = 2;
  q.out = {3, 3};
  q.lse = 1.5;
  const OutputDifference d = compare_outputs(p, q);
  EXPECT_DOUBLE_EQ(d.error, 0.2);
  EXPECT_DOUBLE_EQ(d.lse_gap, -0.5);
  EXPECT_EQ(compare_outputs(p, p).error, 0);
}

TEST(AttentionLosses, AreMediansByHead) {
  AttentionLosses a, b;
  for (const double e : {0.1, 0.5, 0.2}) a.add(1, 0, {e, -e});
  a.add_mass(1, 0, 0.9);
  b.add(0, 2, {0.4, 0.0});
  b.add_mass(0, 2, 0.5);
  a.add(b);
  const auto heads = a.heads();
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(heads[0].layer, 0u);
  EXPECT_EQ(heads[0].kv_head, 2u);
  EXPECT_DOUBLE_EQ(heads[1].loss.error_median, 0.2);
  EXPECT_DOUBLE_EQ(heads[1].loss.error_p95, 0.2 + 0.9 * 0.3);
  EXPECT_NEAR(heads[1].loss.lse_gap, -0.8 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(a.all().error_median, 0.3);
  EXPECT_DOUBLE_EQ(a.all().mass, 0.7);
  EXPECT_TRUE(AttentionLosses().empty());
}

// The engine's own outputs of a step, [layers][heads][head_dim].
class Outputs final : public engine::AttentionObserver {
 public:
  explicit Outputs(size_t width) : width_(width) {}
  void attended(const model::AttendCall& call, size_t) override {
    rows.resize(std::max(rows.size(), call.layer + 1));
    rows[call.layer].assign(call.out, call.out + width_);
  }
  std::vector<std::vector<float>> rows;

 private:
  size_t width_;
};

const engine::Engine& bundled() { return test::bundled_engine("store=f32"); }

// The largest relative error of what is computed anew, over layers and heads of one step.
double worst_error(const std::string& line) {
  const Subject subject = make_subject(bundled(), line, Watch::kAlsoAll);
  engine::Runner& runner = subject.engine->runner();
  const model::Config& c = runner.config();
  const auto text = prose_windows(bundled(), Library(), 1, 700, 1)[0].tokens;
  kv::SequenceCache cache = runner.new_cache();
  runner.read(cache, std::span(text).first(699));
  std::vector<kv::ExtraToken> extras;
  for (size_t i = 0; i < c.layers * c.kv_heads; ++i) {
    const kv::HeadId id{i / c.kv_heads, i % c.kv_heads};
    extras.push_back(extra_of(cache.head(id.layer, id.kv_head), id));
  }
  Outputs outputs(c.heads * c.head_dim);
  runner.observe(&outputs);
  subject.marks->record = true;
  const engine::StepPart part{&cache, std::span(text).last(1)};
  runner.step({&part, 1});
  double worst = 0;
  const size_t group = c.heads / c.kv_heads;
  for (size_t i = 0; i < extras.size(); ++i) {
    const Marks::Step& step = subject.marks->steps[i];
    EXPECT_EQ(step.outputs.size(), group) << line;
    for (size_t g = 0; g < step.outputs.size(); ++g) {
      AttentionOutput own = step.outputs[g], real = own;
      join_extra(own, extras[i], step.queries.data() + g * c.head_dim, step.shape);
      const float* row = outputs.rows[i / c.kv_heads].data();
      const float* out = row + ((i % c.kv_heads) * group + g) * c.head_dim;
      real.out.assign(out, out + c.head_dim);
      worst = std::max(worst, compare_outputs(real, own).error);
    }
  }
  return worst;
}

// f32 keys and values: sums of 700 products of some 1, each off by half a unit, in a softmax whose
// exponents reach some 10: 700 * 10 * 2^-24 at the very most.
constexpr double kRounding = 700 * 10.0 / (1 << 24);

TEST(AttendTo, GivesWhatTheEngineGives) {
  const model::Config& c = bundled().model().config();
  const test::MethodLines lines(c.layers, c.kv_heads);
  std::string razor;
  for (const kv::Method& m : kv::all_methods()) {
    if (m.info.name == "razor") razor = lines.tight(m);
  }
  EXPECT_LT(worst_error("store=f32"), kRounding);
  EXPECT_LT(worst_error("store=f32 fetch=quest(budget=128)"), kRounding);
  EXPECT_LT(worst_error("store=f32 fetch=index(tokens=50,local=64,heads=each)"), kRounding)
      << "a list for each query head";
  EXPECT_LT(worst_error("store=f32 keep=snapkv(budget=128)"), kRounding);
  EXPECT_LT(worst_error("store=f32 " + razor), kRounding) << "with a token that stands for many";
  // The extra token lies in the store's frame. Codes are read in the kernel's own arithmetic, which
  // rounds queries to 8 bits of mantissa at the worst.
  EXPECT_LT(worst_error("store=rotate4 " + razor), 0.02);
}

// In the first layer the queries of both are the same, further up they are not.
TEST(Lockstep, AsksWithTheQueriesOfTheReference) {
  const Subject reference = make_subject(bundled(), "store=f32", Watch::kAlsoAll);
  const Subject other = make_subject(bundled(), "store=f32 fetch=random(budget=64)");
  const auto text = prose_windows(bundled(), Library(), 1, 400, 1)[0].tokens;
  const std::span<const engine::TokenId> tokens(text);
  std::vector<TokenDivergence> scores;
  AttentionLosses losses;
  {
    Lockstep pair(reference, other);
    pair.read(tokens.first(398));
    pair.record(true);
    pair.score(tokens.subspan(398, 1), tokens.last(1), scores);
    EXPECT_TRUE(pair.recall(losses));
  }
  const std::vector<Marks::Step> asked = other.marks->steps;
  EXPECT_EQ(other.marks->reference, nullptr);
  other.marks->record = true;
  kv::SequenceCache cache = other.engine->runner().new_cache();
  other.engine->runner().read(cache, tokens.first(398));
  const engine::StepPart part{&cache, tokens.subspan(398, 1)};
  other.engine->runner().step({&part, 1});
  const std::vector<Marks::Step>& own = other.marks->steps;
  EXPECT_EQ(asked.front().outputs.at(0).out, own.front().outputs.at(0).out);
  EXPECT_NE(asked.back().outputs.at(0).out, own.back().outputs.at(0).out);
  EXPECT_EQ(asked.back().runs, own.back().runs) << "chosen with its own";
}

}  // namespace
}  // namespace fathom::eval
