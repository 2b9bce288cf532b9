// Dense attention before and after a run: what is told of changes.
#include "eval/steadiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/html/page.h"
#include "eval/report.h"
#include "made_report.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

ProbeLine probe(double read, double step, const std::string& output = "a") {
  ProbeLine p;
  p.model = "m";
  p.read = 512;
  p.steps = 32;
  p.read_seconds = read;
  p.step_seconds = step;
  p.output = output;
  return p;
}

TEST(Steadiness, HoldsEveryProbeAgainstTheFirst) {
  const std::vector<ProbeLine> well = {probe(1, 0.1), probe(1.02, 0.098)};
  const Steadiness s = *steadiness_of(well);
  EXPECT_TRUE(s.same_output && s.same_speed());
  EXPECT_NEAR(*s.read_change, 0.02, 1e-12);
  EXPECT_NEAR(*s.step_change, -0.02, 1e-12);
  EXPECT_THAT(steadiness_text(s), HasSubstr("the same output; time of reading +2.0 %"));
  EXPECT_THAT(steadiness_text(s), Not(HasSubstr("warning")));
  // The worst of three, and faster counts as slower does.
  const std::vector<ProbeLine> uneven = {probe(1, 0.1), probe(1.01, 0.09), probe(1, 0.1)};
  EXPECT_NEAR(*steadiness_of(uneven)->step_change, -0.1, 1e-12);
  EXPECT_FALSE(steadiness_of(uneven)->same_speed());
  EXPECT_TRUE(steadiness_of(uneven)->same_output);
  EXPECT_THAT(steadiness_text(*steadiness_of(uneven)), HasSubstr("warning: "));
}

TEST(Steadiness, RejectsAnotherOutput) {
  const std::vector<ProbeLine> broken = {probe(1, 0.1), probe(1, 0.1, "b")};
  const Steadiness s = *steadiness_of(broken);
  EXPECT_FALSE(s.same_output);
  EXPECT_THAT(steadiness_text(s), HasSubstr("REJECT"));
  EXPECT_EQ(steadiness_json(s)["rejected"], true);
}

TEST(Steadiness, NeedsTwoProbesOfOneModel) {
  std::vector<ProbeLine> probes = {probe(1, 0.1)};
  EXPECT_FALSE(steadiness_of({}));
  EXPECT_FALSE(steadiness_of(probes));
  probes.push_back(probe(2, 0.2, "b"));
  probes[1].model = "another";
  EXPECT_FALSE(steadiness_of(probes));
  // Without times nothing is said of them.
  const std::vector<ProbeLine> untimed = {probe(0, 0), probe(1, 0.1)};
  EXPECT_FALSE(steadiness_of(untimed)->read_change);
  EXPECT_TRUE(steadiness_of(untimed)->same_speed());
}

TEST(Steadiness, ComesBackFromItsFile) {
  const std::string line = probe_line(probe(1, 0.1, "0123"));
  EXPECT_EQ(probe_line(parse_probes(line, "x").at(0)), line);
  EXPECT_THROW(parse_probes("{}", "x"), Error);
  EXPECT_THROW(parse_probes("{\"output\":\"a\",\"read_seconds\":-1}", "x"), Error);
}

TEST(Steadiness, StandsAtTheTopOfTheReport) {
  Report report = test::made_report();
  EXPECT_THAT(report_page(report, {}), Not(HasSubstr("dense attention before")));
  report.steadiness = Steadiness{2, true, 0.5, 0.0};
  EXPECT_THAT(report_page(report, {}), HasSubstr("<p class=\"note bad\">warning: dense attention"));
  EXPECT_THAT(report_text(report), HasSubstr("time of reading +50.0 %"));
  EXPECT_EQ(report_json(report)["steadiness"]["same_speed"], false);
}

TEST(Probe, IsTheSameTwiceAndTellsModelsApart) {
  ModelOptions options;
  options.threads = 1;
  const auto engine = engine::Engine::load(test::bundled_model(), options);
  const ProbeLine a = measure_probe(*engine, false), b = measure_probe(*engine, true);
  EXPECT_EQ(a.output, b.output);
  EXPECT_EQ(a.read_seconds, 0);
  EXPECT_GT(b.read_seconds, 0);
  EXPECT_GT(b.step_seconds, 0);
  EXPECT_LT(b.step_seconds, b.read_seconds);
  options.context = 256;  // another text
  const auto smaller = engine::Engine::load(test::bundled_model(), options);
  EXPECT_NE(measure_probe(*smaller, false).output, a.output);
}

}  // namespace
}  // namespace fathom::eval
