#include "eval/divergence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/checks.h"
#include "eval/prose.h"
#include "eval/sequence.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

std::vector<float> logits_of(std::initializer_list<double> probabilities, double shift) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p) + shift));
  return out;
}

TEST(CompareLogits, FollowsTheDefinitions) {
  const auto p = logits_of({0.5, 0.5}, 3), q = logits_of({0.9, 0.1}, -7);
  const TokenDivergence d = compare_logits(p, q, 1);
  EXPECT_NEAR(d.kl, 0.5 * std::log(0.5 / 0.9) + 0.5 * std::log(0.5 / 0.1), 1e-6);
  EXPECT_NEAR(d.nll_p, std::log(2.0), 1e-6);
  EXPECT_NEAR(d.nll_q, -std::log(0.1), 1e-6);
  EXPECT_TRUE(d.same_top);  // the tie goes to the lowest
  EXPECT_FALSE(compare_logits(p, logits_of({0.1, 0.9}, 0), 0).same_top);
}

TEST(CompareLogits, IsZeroForEqualLogitsHoweverExtreme) {
  const std::vector<float> p = {1e4f, -1e4f, 0.0f};
  EXPECT_EQ(compare_logits(p, p, 1).kl, 0);
  const std::vector<float> shifted = {1e4f + 512, -1e4f + 512, 512.0f};
  EXPECT_NEAR(compare_logits(p, shifted, 1).kl, 0, 1e-9);
}

TEST(CompareLogits, CountsWhatBothFindLikely) {
  std::vector<float> p(40), q(40);
  for (size_t i = 0; i < 40; ++i) p[i] = q[i] = -float(i);
  EXPECT_EQ(compare_logits(p, q, 0).top10, 1);
  EXPECT_FALSE(compare_logits(p, q, 0).close) << "1 nat apart";
  std::swap(q[9], q[10]);  // the tenth and the eleventh
  EXPECT_DOUBLE_EQ(compare_logits(p, q, 0).top10, 0.9);
  for (size_t i = 0; i < 40; ++i) q[i] = float(i);
  EXPECT_EQ(compare_logits(p, q, 0).top10, 0);
  p[1] = -0.5f;
  EXPECT_TRUE(compare_logits(p, q, 0).close);
  const std::vector<float> equal(40, 1.0f);
  EXPECT_EQ(compare_logits(equal, equal, 0).top10, 1) << "ties go to the lowest ids";
  EXPECT_EQ(compare_logits({p.data(), 3}, {q.data(), 3}, 0).top10, 1) << "of three tokens, three";
}

TEST(CompareLogits, MovesOfLogitsHaveNoCommonPart) {
  const std::vector<float> p = {3, 0, 0, 1}, same = {13, 10, 10, 11};
  const TokenDivergence none = compare_logits(p, same, 0);
  EXPECT_EQ(none.logit_error, 0);
  EXPECT_EQ(none.logit_most, 0);
  EXPECT_NEAR(none.top_square, 0, 1e-12);
  // Less their means: p is (2, -1, -1, 0), q is (1, 1, -1, -1): 1, 2, 0 and 1 of sqrt(6).
  const std::vector<float> q = {2, 2, 0, 0};
  const TokenDivergence d = compare_logits(p, q, 0);
  EXPECT_NEAR(d.logit_error, std::sqrt(6.0 / 6.0), 1e-6);
  EXPECT_NEAR(d.logit_most, 2, 1e-6);
  const auto ln = [](const std::vector<float>& l, size_t i) {
    double sum = 0;
    for (const float x : l) sum += std::exp(x);
    return l[i] - std::log(sum);
  };
  double square = 0;
  for (size_t i = 0; i < 4; ++i) square += std::pow(ln(q, i) - ln(p, i), 2) / 4;
  EXPECT_NEAR(d.top_square, square, 1e-6);
  EXPECT_NEAR(d.delta_p(), std::exp(ln(q, 0)) - std::exp(ln(p, 0)), 1e-6);
  // Beyond the 100 most likely tokens nobody looks for the most.
  std::vector<float> many(300), moved(300);
  for (size_t i = 0; i < 300; ++i) many[i] = moved[i] = -float(i);
  moved[99] -= 30;
  moved[100] -= 60;
  moved[250] += 90;  // the mean stays
  EXPECT_NEAR(compare_logits(many, moved, 0).logit_most, 30, 1e-4);
}

std::shared_ptr<engine::Engine> load(size_t batch) {
  ModelOptions options;
  options.threads = 1;
  options.kv = "store=f32";
  options.batch = batch;
  return engine::Engine::load(test::bundled_model(), options);
}
const engine::Engine& bundled() {
  static const auto engine = load(512);
  return *engine;
}

std::vector<ForcedText> texts(size_t length = 300) {
  return prose_windows(bundled(), Library(), 1, length, 3);
}

Divergence diverge(const std::string& from, const std::string& to, PositionSet set,
                   size_t length = 300) {
  return measure_divergence(make_subject(bundled(), from, Watch::kAlsoAll),
                            make_subject(bundled(), to, Watch::kAlsoAll), texts(length), {set, 50});
}

TEST(Divergence, OfDenseFromDenseIsExactlyNothing) {
  for (const PositionSet set : {PositionSet::kPrefill, PositionSet::kDecode}) {
    const Divergence d = diverge("store=f32", "store=f32", set);
    EXPECT_EQ(d.windows, 3u);
    EXPECT_EQ(d.tokens, 3u * (set == PositionSet::kDecode ? 50 : 149));
    EXPECT_EQ(d.kl_max, 0);
    EXPECT_EQ(d.same_top.value, 1);
    EXPECT_EQ(d.nll_difference.value, 0);
    EXPECT_EQ(d.logit_error.value, 0);
    EXPECT_EQ(d.delta_ps, std::vector<double>(std::size(kDeltaQuantiles), 0.0));
    EXPECT_EQ(d.greedy.has_value(), set == PositionSet::kDecode);
    if (d.greedy) {
      EXPECT_EQ(d.greedy->tokens, 128u);
      EXPECT_EQ(d.greedy->common.value, 128);
      EXPECT_EQ(d.greedy->identical.value, 1);
      EXPECT_LT(d.greedy->identical.interval.low, 0.6) << "of three windows";
    }
    EXPECT_EQ(d.attention.has_value(), set == PositionSet::kDecode);
    for (const HeadLoss& h : d.heads) {
      EXPECT_EQ(h.loss.error_p95, 0);
      EXPECT_EQ(h.loss.lse_gap, 0);
    }
    EXPECT_GT(d.reference_perplexity, 1.5);
    EXPECT_EQ(d.perplexity(), std::exp(d.nll.value));
  }
}

// As far as the tokens that each writes by itself are the same.
TEST(Divergence, ComparesWhatBothWrite) {
  const std::string line = "store=f32 keep=streaming(sinks=1,recent=8)";
  const auto windows = texts();
  const DivergenceOptions options{PositionSet::kDecode, 50, 20};
  const Divergence d = measure_divergence(make_subject(bundled(), "store=f32"),
                                          make_subject(bundled(), line), windows, options);
  double sum = 0, same = 0;
  for (const ForcedText& w : windows) {
    std::vector<engine::TokenId> written[2];
    for (const bool other : {false, true}) {
      const Subject s = make_subject(bundled(), other ? line : "store=f32");
      engine::Runner& runner = s.engine->runner();
      kv::SequenceCache cache = runner.new_cache();
      const size_t first = w.tokens.size() - 51;
      runner.read(cache, std::span(w.tokens).first(first));
      engine::TokenId next = w.tokens[first];
      for (int i = 0; i < 20; ++i) {
        const engine::StepPart part{&cache, {&next, 1}};
        next = likeliest(runner.step({&part, 1}));
        written[other].push_back(next);
      }
    }
    const auto differ =
        std::mismatch(written[0].begin(), written[0].end(), written[1].begin()).first;
    sum += double(differ - written[0].begin());
    same += differ == written[0].end();
  }
  ASSERT_TRUE(d.greedy);
  EXPECT_EQ(d.greedy->tokens, 20u);
  EXPECT_DOUBLE_EQ(d.greedy->common.value, sum / 3);
  EXPECT_DOUBLE_EQ(d.greedy->identical.value, same / 3);
  EXPECT_LT(sum, 60) << "they differ somewhere, or this shows nothing";
  EXPECT_GT(sum, 0);
  // What was written leaves no trace in what is forced.
  const Divergence silent =
      measure_divergence(make_subject(bundled(), "store=f32"), make_subject(bundled(), line),
                         windows, {PositionSet::kDecode, 50, 0});
  EXPECT_FALSE(silent.greedy);
  EXPECT_EQ(silent.kl.value, d.kl.value);
}

TEST(Divergence, WritesNoMoreThanTheContextHolds) {
  ModelOptions options;
  options.threads = 1;
  options.kv = "store=f32";
  options.context = 310;
  const auto narrow = engine::Engine::load(test::bundled_model(), options);
  const Divergence d =
      measure_divergence(make_subject(*narrow, "store=f32"), make_subject(*narrow, "store=f32"),
                         texts(), {PositionSet::kDecode, 50});
  ASSERT_TRUE(d.greedy);
  EXPECT_EQ(d.greedy->tokens, 60u);  // behind 250
  EXPECT_EQ(d.greedy->common.value, 60);
}

TEST(Divergence, DoesNotChangeWhatItWatches) {
  const auto windows = texts();
  const DivergenceOptions options{PositionSet::kDecode, 50};
  const Divergence d =
      measure_divergence(make_subject(bundled(), "store=f32"),
                         make_subject(bundled(), "store=f32", Watch::kAlsoAll), windows, options);
  EXPECT_EQ(d.kl_max, 0);
  EXPECT_FALSE(d.mass_recall);  // the reference was not watched
}

TEST(Divergence, OfOtherBatchesIsRounding) {
  const auto other = load(64);
  const Divergence d =
      measure_divergence(make_subject(bundled(), "store=f32"), make_subject(*other, "store=f32"),
                         texts(), {PositionSet::kDecode, 50});
  EXPECT_LT(std::abs(d.kl_max), 1e-6);
}

TEST(Divergence, OfRoundedKeysIsSmallAndPositive) {
  const Divergence d = diverge("store=f32", "store=bf16", PositionSet::kDecode);
  EXPECT_GT(d.kl.value, 1e-8);
  EXPECT_LT(d.kl.value, 0.01);
  EXPECT_GE(d.kl_max, d.kl_p99);
  EXPECT_GE(d.kl_p99, d.kl_median);
  EXPECT_TRUE(std::is_sorted(d.delta_ps.begin(), d.delta_ps.end()));
  EXPECT_LT(d.delta_ps.front(), 0);
  EXPECT_GT(d.delta_ps.back(), 0);
  EXPECT_GE(d.delta_p_rms, std::abs(d.delta_p.value));
  EXPECT_LE(d.delta_p_rms, std::max(-d.delta_ps.front(), d.delta_ps.back()));
  EXPECT_GT(d.logit_error.value, 1e-4);
  EXPECT_LT(d.logit_error.value, 0.05);
  EXPECT_GE(d.logit_most, d.log_p_rms);
}

TEST(Divergence, RecallsAllAttentionWhereEverythingIsRead) {
  const Divergence d = diverge("store=f32", "store=bf16", PositionSet::kDecode);
  ASSERT_TRUE(d.mass_recall);
  EXPECT_NEAR(d.mass_recall->value, 1, 1e-5);  // 300 weights of f32, each off by half a unit
}

TEST(Divergence, OraclesRecallMoreAttentionThanLots) {
  const auto recall = [](const std::string& policy) {
    return diverge("store=f32", policy, PositionSet::kDecode, 1000).mass_recall->value;
  };
  const double oracle = recall("store=f32 fetch=oracle(budget=256)");
  const double quest = recall("store=f32 fetch=quest(budget=256)");
  const double lots = recall("store=f32 fetch=random(budget=256)");
  EXPECT_LT(oracle, 1);
  EXPECT_GE(oracle, quest - 0.02);  // quest's pages are smaller, and may fit better
  EXPECT_GT(quest, lots);
  // Of some 15 pages 3 by lot and the newest: at least these hold some.
  EXPECT_GT(lots, 0.1);
}

// With the reference's queries: where keys are the same, what ln-sum-exp lacks is the mass that is
// not read.
TEST(Divergence, AttentionLosesWhatIsNotRead) {
  const model::Config& c = bundled().model().config();
  for (const char* line :
       {"store=f32 fetch=random(budget=256)", "store=f32 keep=tova(budget=64)"}) {
    const Divergence d = diverge("store=f32", line, PositionSet::kDecode, 1000);
    ASSERT_EQ(d.heads.size(), c.layers * c.kv_heads);
    for (const HeadLoss& h : d.heads) {
      if (h.layer > 0) continue;  // further up the keys of decoded tokens differ
      // The mean of logarithms is below the logarithm of the mean.
      EXPECT_LE(h.loss.lse_gap, std::log(h.loss.mass) + 1e-5) << line;
      EXPECT_LT(h.loss.lse_gap, -0.01) << line;
      EXPECT_GT(h.loss.error_p95, h.loss.error_median) << line;
    }
    EXPECT_GT(d.attention->error_median, 0.01) << line;
    EXPECT_NEAR(d.attention->mass, d.mass_recall->value, 1e-9) << line;
  }
  const Divergence stored = diverge("store=f32", "store=k4v4", PositionSet::kDecode);
  EXPECT_GT(stored.attention->error_median, 1e-3) << "what codes lose shows with no key missed";
  EXPECT_NEAR(stored.attention->mass, 1, 1e-5);
}

// KEEP lets tokens go between the step that read them and the look at what was read.
TEST(Divergence, RecallsWhatWasReadBeforeTokensWereLeftOut) {
  for (const char* line :
       {"keep=streaming(sinks=4,recent=60) store=f32", "keep=tova(budget=64) store=f32",
        "keep=h2o(heavy=32,recent=32) store=f32"}) {
    const Divergence d = measure_divergence(make_subject(bundled(), "store=f32", Watch::kAlsoAll),
                                            make_subject(bundled(), line, Watch::kAlsoAll),
                                            texts(900), {PositionSet::kDecode, 450});
    ASSERT_TRUE(d.mass_recall) << line;
    EXPECT_GT(d.mass_recall->value, 0.2) << line;
    EXPECT_LT(d.mass_recall->value, 0.95) << line;
  }
}

TEST(Divergence, ForcesAnswersBehindTheirQuestions) {
  Instance instance;
  instance.suite = "needle";
  instance.task = "facts";
  instance.length_target = 512;
  instance.context = "The code of the amber lantern is 58291. It rained all day in the valley.";
  instance.turns.resize(1);
  instance.turns[0].input = "What is the code of the amber lantern?";
  instance.turns[0].answers = {"58291"};
  const auto windows = answer_windows(bundled(), {&instance, 1}, 512, 10);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(bundled().tokenizer().decode(std::span(windows[0].tokens).subspan(windows[0].answer)),
            "58291");
  const Divergence same =
      measure_divergence(make_subject(bundled(), "store=f32"), make_subject(bundled(), "store=f32"),
                         windows, {PositionSet::kAnswer, 0});
  EXPECT_EQ(same.tokens, windows[0].tokens.size() - windows[0].answer);
  EXPECT_EQ(same.kl_max, 0);
  // Without the page that holds the answer it is a surprise.
  const Divergence lost =
      measure_divergence(make_subject(bundled(), "store=f32"),
                         make_subject(bundled(), "store=f32 keep=streaming(sinks=1,recent=4)"),
                         windows, {PositionSet::kAnswer, 0});
  EXPECT_GT(lost.kl.value, 1);
}

TEST(Prose, LinesAreReadAsTheyAreWritten) {
  ProseLine l;
  l.model = "m";
  l.policy = "p";
  l.reference = "r";
  l.positions = "decode";
  l.text = "prose";
  l.result.windows = 3;
  l.result.mass_recall = Estimate{0.5, {0.4, 0.6}};
  l.result.delta_ps.assign(std::size(kDeltaQuantiles), -0.125);
  l.result.logit_error = {0.25, {0.2, 0.3}};
  l.result.attention = AttentionLoss{0.125, 0.5, -0.25, 0.75};
  l.result.greedy = GreedyAgreement{128, {100.5, {90, 110}}, {0.25, {0.1, 0.4}}};
  l.result.heads = {{3, 1, {0.25, 0.75, -0.5, 0.625}}};
  const std::string line = prose_line(l);
  EXPECT_EQ(prose_line(parse_prose(line, "x").at(0)), line);
  l.result.delta_ps.pop_back();
  EXPECT_THROW(parse_prose(prose_line(l), "x"), Error);
  l.result.delta_ps.push_back(0);
  l.result.heads[0].layer = size_t{1} << 40;
  EXPECT_THROW(parse_prose(prose_line(l), "x"), Error) << "no model has so many layers";
}

TEST(Prose, OlderLinesAreCountedNotRead) {
  size_t older = 0;
  EXPECT_TRUE(parse_prose("{\"policy\":\"p\",\"kl_p99\":1}\n", "x", &older).empty());
  EXPECT_EQ(older, 1u);
  EXPECT_THROW(parse_prose("{\"form\":4,\"policy\":\"p\"}\n", "x"), Error)
      << "of today, and broken";
}

TEST(BookWindows, AreSpreadOverTheBook) {
  Book book{"b", {}};
  for (int i = 0; i < 400; ++i) book.sentences.push_back("Sentence " + std::to_string(i) + ". ");
  const auto windows = book_windows(bundled(), book, 256, 3);
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_TRUE(bundled().tokenizer().decode(windows[0].tokens).starts_with("Sentence 0."));
  EXPECT_NE(bundled().tokenizer().decode(windows[2].tokens).find("Sentence 39"), std::string::npos);
  EXPECT_TRUE(book_windows(bundled(), book, 100000, 3).empty());
}

}  // namespace
}  // namespace fathom::eval
