// The page: well-formed, self-contained, and deaf to what names try.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/page.h"
#include "eval/html/sections.h"
#include "made_report.h"
#include "support/shared_data.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

using test::kHostile;
using test::made_report;
using test::timed;

TEST(Escape, LeavesNothingThatMarkupReads) {
  const std::string e = html::escape(kHostile);
  EXPECT_EQ(e.find_first_of("<>\"'\x01\xFF"), std::string::npos);
  EXPECT_EQ(html::escape("a & b"), "a &amp; b");
  EXPECT_EQ(html::escape("\xC3"), "\xEF\xBF\xBD");  // half a character
  EXPECT_EQ(html::escape("é"), "é");
}

// Elements are closed in the order in which they were opened; returns what is wrong, or "".
std::string wrong_nesting(const std::string& page) {
  const std::set<std::string> empty = {"meta", "wbr", "line", "rect", "circle", "polygon", "path"};
  std::vector<std::string> open;
  for (size_t at = 0; (at = page.find('<', at)) != std::string::npos;) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos) return "an open tag at the end";
    const std::string tag = page.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag[0] == '!') continue;
    const std::string name =
        tag.substr(tag[0] == '/', tag.find_first_of(" \n/", 1) - (tag[0] == '/'));
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "quotes in <" + tag + ">";
    if (tag[0] == '/') {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
    } else if (empty.count(name) == 0) {
      open.push_back(name);
      if (name == "script" || name == "style") at = page.find("</" + name + ">", at);
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> stays open";
}

TEST(ReportPage, IsWellFormedAndSelfContained) {
  const nlohmann::ordered_json run = {{"model", kHostile},
                                      {"command", kHostile},
                                      {"cpu", "c"},
                                      {"traits",
                                       {{"parameters", 1000},
                                        {"head_dim", 16},
                                        {"tokens", 9},
                                        {"even_weight", 0.5},
                                        {"first_token_weight", {0.25, kHostile}},
                                        {"key_channel_ratio", {1.5}}}}};
  const std::string page = report_page(made_report(), run);
  EXPECT_EQ(wrong_nesting(page), "");
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  for (const char* outside : {"http://", "https://", "src=\"", "@import", "url(", "<link"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  for (const char* id :
       {"frontier", "policies", "costs", "depths", "needles", "tasks", "predictions", "attention",
        "checks", "methods", "caveats", "how", "capabilities", "depth-lines"}) {
    EXPECT_THAT(page, HasSubstr(fmt::format("<section id=\"{}\">", id)));
  }
}

TEST(ReportPage, ShowsWhatIsThere) {
  EXPECT_EQ(wrong_nesting(report_page(make_report({}), {})), "");
  const std::string page = report_page(made_report(), {});
  EXPECT_THAT(page, HasSubstr("keep=snapkv(budget=64)"));
  EXPECT_THAT(page, HasSubstr("1 tasks and lengths that this model cannot do"));
  EXPECT_THAT(page,
              HasSubstr("layer 1, kv head 1: output error 90.0 % (95 % of queries: 200.0 %)"));
  EXPECT_THAT(page, HasSubstr("100.5 <small>90–110 of 128</small>"));
  EXPECT_THAT(page, HasSubstr("90.0 <small>layer 1, kv head 1</small>"));
}

TEST(Report, RanksOnlyWhatTheFirstPolicyCanDo) {
  const Report r = made_report();
  ASSERT_EQ(r.policies.size(), 3u);
  EXPECT_EQ(r.policies[0].counted, 1u);  // the needle; the hostile task is beyond it
  EXPECT_DOUBLE_EQ(r.policies[0].mean.value, 0.9);
  EXPECT_EQ(r.policies[1].mean.value, 0);
  EXPECT_LT(r.policies[1].against_first->holm, 0.001);
  EXPECT_EQ(r.policies[2].against_first->p, 1);
  // 0 of 40 differ: Wilson's end is 8.8 points, so 2 cannot be promised.
  EXPECT_FALSE(r.policies[2].against_first->not_worse);
  EXPECT_THAT(r.policies[2].against_first->verdict, HasSubstr("no difference seen"));
}

TEST(Report, PutsPoliciesOnTheFrontierOrBehindOthers) {
  const Report r = made_report();
  using Place = Frontier::Place;
  for (const Frontier& f : r.frontiers) {
    // The cheapest knows nothing but costs least; the third is as good as the first for half.
    EXPECT_EQ(f.places[1], Place::kOn) << f.axis;
    EXPECT_EQ(f.places[2], Place::kOn) << f.axis;
  }
}

TEST(Gate, AsksForMoreThanChance) {
  EXPECT_TRUE(passes_gate({0.8, wilson(40, 50)}, 0.25, Measure::kAnswer));
  EXPECT_FALSE(passes_gate({0.8, wilson(4, 5)}, 0.25, Measure::kAnswer));  // 37.6 to 96.4
  EXPECT_FALSE(passes_gate({0.5, wilson(50, 100)}, 0, Measure::kAnswer));  // under 60
  EXPECT_TRUE(passes_gate({0.5, wilson(50, 100)}, 0.125, Measure::kChoice));
}

// Two settings of a method, asked in two ways.
Report of_two_ways() {
  std::vector<ResultLine> lines;
  std::vector<CostLine> costs;
  const std::string policies[] = {"prefill=dense keep=all store=f32 fetch=all",
                                  "prefill=dense keep=snapkv(budget=64) store=f32 fetch=all",
                                  "prefill=dense keep=snapkv(budget=128) store=f32 fetch=all"};
  for (const char* mode : {"multi-request", "multi-turn"}) {
    for (size_t p = 0; p < 3; ++p) {
      for (int i = 0; i < 60; ++i) {
        ResultLine l;
        l.policy = policies[p];
        l.mode = mode;
        l.suite = "scbench";
        l.task = "kv_words";
        l.id = std::to_string(i / 3);
        l.turn = static_cast<size_t>(i % 3);
        l.turns = 3;
        l.length = 1024;
        l.depth = 0.45;
        l.result.score = p == 0 || l.turn == 0 ? 1 : 0;
        lines.push_back(l);
      }
    }
  }
  for (size_t p = 0; p < 3; ++p) costs.push_back(timed(policies[p], 1.0 / double(p + 1)));
  return make_report({lines, {}, costs});
}

TEST(CapabilityCharts, DrawAMethodThroughItsSettings) {
  const std::string page = html::capability_charts(of_two_ways());
  EXPECT_EQ(wrong_nesting(page), "");
  EXPECT_THAT(page, HasSubstr("<figcaption>overall, 1024 tokens</figcaption>"));
  EXPECT_THAT(page, Not(HasSubstr("<figcaption>string"))) << "one capability is the overall score";
  const auto count = [&](const std::string& what) {
    size_t n = 0;
    for (size_t at = 0; (at = page.find(what, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_EQ(count("<figure"), 3u) << "three versions of one length";
  EXPECT_EQ(count("class=\"run\""), 3u * 2) << "one method of two settings, asked in two ways";
  EXPECT_EQ(count("class=\"pt f-keep open\""), 3u * 2);
  EXPECT_EQ(count("class=\"pt f-keep on\""), 3u * 2);
  EXPECT_EQ(count("class=\"band\""), 3u);
  EXPECT_EQ(count("class=\"frontier\""), 3u);
  EXPECT_EQ(html::capability_charts(make_report({})), "");
}

TEST(ScoreLines, FollowTurnsAndDepths) {
  const Report report = of_two_ways();
  const std::string turns = html::turn_picture(report);
  EXPECT_EQ(wrong_nesting(turns), "");
  EXPECT_THAT(turns, HasSubstr("(5) keep=snapkv(budget=64) store=f32\n1: 100.0\n2: 0.0\n3: 0.0<"));
  EXPECT_THAT(turns, Not(HasSubstr("data-p=\"2\""))) << "questions by themselves have no turns";
  const std::string depths = html::depth_scores(report);
  EXPECT_EQ(wrong_nesting(depths), "");
  EXPECT_THAT(depths, HasSubstr("(2) keep=snapkv(budget=64) store=f32\n40–50: 33.3<"));
  EXPECT_EQ(html::turn_picture(make_report({})), "");
}

TEST(Chart, DrawsTheFrontierAsSteps) {
  html::Chart c{"t", "x", [](double v) { return std::to_string(v); }, true, {}};
  EXPECT_EQ(html::chart(c), "");
  c.points = {{1, "dense", "one", 4, 0.9, 0.8, 1.0, true},
              {2, "keep", "two", 1, 0.5, 0.4, 0.6, true},
              {3, "fetch", kHostile, 2, 0.2, 0.1, 0.3, false}};
  const std::string svg = html::chart(c);
  EXPECT_EQ(wrong_nesting(svg), "");
  EXPECT_THAT(svg, HasSubstr("class=\"frontier\" d=\"M"));
  EXPECT_THAT(svg, HasSubstr("<title>one</title>"));
}

TEST(EscapeLine, BreaksBesideNumbersNotInThem) {
  EXPECT_EQ(html::escape_line("keep=h2o(heavy=256,recent=<6>)"),
            "keep=h2o(<wbr>heavy=256,<wbr>recent=&lt;6&gt;)");
}

TEST(FamilyOf, NamesTheStageThatDiffers) {
  EXPECT_EQ(html::family_of("prefill=dense keep=all store=f16 fetch=all"), "dense");
  EXPECT_EQ(html::family_of("prefill=dense keep=all store=q8(tail=64) fetch=all"), "store");
  EXPECT_EQ(html::family_of("prefill=dense keep=snapkv(budget=9) store=q8 fetch=all"), "mixed");
  EXPECT_EQ(html::family_of("keep=gold(budget=9) store=f32"), "control");
  EXPECT_EQ(html::family_of("store=bf16 fetch=quest"), "fetch");
}

CostSummary priced(double first_token, double step) {
  CostSummary s;
  s.first_token_seconds = first_token;
  s.warm_seconds = 0.1;
  s.step_seconds = step;
  return s;
}

TEST(Costs, OfSeveralQuestionsShareTheReading) {
  const CostSummary dense = priced(10, 0.01);
  EXPECT_NEAR(dense.question_seconds(), 0.1 + 63 * 0.01, 1e-12);
  EXPECT_NEAR(dense.amortised_seconds(1), 10.73, 1e-12);
  EXPECT_NEAR(dense.amortised_seconds(20), 1.23, 1e-12);
  // 2 s more to read, 0.315 s less for each question: from the seventh on.
  const CostSummary pays = priced(12, 0.005);
  EXPECT_NEAR(*break_even(dense, pays), 2 / 0.315, 1e-9);
  EXPECT_EQ(break_even_text(dense, pays), "7");
  EXPECT_LT(7 * pays.amortised_seconds(7), 7 * dense.amortised_seconds(7));
  EXPECT_GT(6 * pays.amortised_seconds(6), 6 * dense.amortised_seconds(6));
  EXPECT_EQ(break_even_text(dense, priced(9, 0.005)), "0");
  EXPECT_EQ(break_even_text(dense, dense), "0");
  EXPECT_EQ(break_even_text(dense, priced(11, 0.01)), "never");
  EXPECT_EQ(break_even_text(dense, priced(11, 0.02)), "never");
  EXPECT_FALSE(break_even(dense, priced(9, 0.02)));
  EXPECT_EQ(break_even_text(dense, priced(9, 0.02)), "up to 1");  // 1 s less, 0.63 s more each
}

TEST(Costs, AreShownBesideTheMachinesLimit) {
  const std::string text = report_text(made_report());
  // (3) moves 250 kB and 1000 bytes of weights at 1 GB/s in a step of 500 us.
  EXPECT_THAT(text, HasSubstr("500 us    500 us  100.0 ms    251 us       50%"));
  EXPECT_THAT(text, HasSubstr("1.50x"));
}

TEST(Costs, AreMediansAtTheLongestLength) {
  std::vector<CostLine> lines;
  for (const double f : {1.0, 3.0, 2.0}) lines.push_back(timed("a", f));
  CostLine shorter = timed("a", 9);
  shorter.length = 512;
  lines.push_back(shorter);
  const auto s = summarize_costs(lines, "a");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->length, 1024u);
  EXPECT_DOUBLE_EQ(s->first_token_seconds, 1.0);
  EXPECT_DOUBLE_EQ(s->first_token_most, 1.5);
  EXPECT_DOUBLE_EQ(s->decode_speed(), 500);
  EXPECT_DOUBLE_EQ(s->moved_bytes, 1e6);
  // 1 MB moved and 1000 bytes of weights at 1 GB/s, in a step of 2 ms.
  EXPECT_NEAR(*s->roofline_seconds(), 1.001e-3, 1e-12);
  EXPECT_NEAR(*s->bandwidth_use(), 0.5005, 1e-9);
  EXPECT_DOUBLE_EQ(*s->fragmentation(), 1.5);
  EXPECT_DOUBLE_EQ(s->bytes_per_token(), 2e6 / 1024);
  EXPECT_DOUBLE_EQ(*s->share_of_f16(), 2e6 / 1024 / 500);
  ASSERT_EQ(s->depths.size(), 3u) << "of all lengths";
  EXPECT_EQ(s->depths[0].depth, 256u);
  EXPECT_DOUBLE_EQ(s->depths[0].step_seconds, 0.00125) << "of 0.0005, 0.001, 0.0015 and 0.0045";
  EXPECT_EQ(s->depths[1].depth, 512u);
  EXPECT_EQ(s->depths[2].depth, 1024u);
  EXPECT_DOUBLE_EQ(s->depths[2].step_seconds, 0.002);
  ASSERT_EQ(s->batches.size(), 2u);
  EXPECT_EQ(s->batches[1].sequences, 16u);
  EXPECT_DOUBLE_EQ(s->batches[1].step_seconds, 0.008) << "of 0.004, 0.012 and 0.008";
  EXPECT_FALSE(summarize_costs(lines, "b"));
  CostLine older = lines[0];
  older.policy = "older";
  older.filled_bytes = older.f16_bytes = 0;
  older.read_bytes_per_second = 0;
  const auto o = summarize_costs({&older, 1}, "older");
  EXPECT_FALSE(o->roofline_seconds() || o->bandwidth_use() || o->fragmentation() ||
               o->share_of_f16())
      << "nobody measured them";
  EXPECT_EQ(cost_line(parse_costs(cost_line(lines[0]), "x").at(0)), cost_line(lines[0]));
  EXPECT_THROW(parse_costs("{\"policy\":\"a\",\"length\":0}", "x"), Error);
  // No axis could show these.
  CostLine endless = lines[0];
  endless.depths = {{128, 0.0, 1}};
  EXPECT_THROW(parse_costs(cost_line(endless), "x"), Error);
  endless.depths = {{0, 0.1, 1}};
  EXPECT_THROW(parse_costs(cost_line(endless), "x"), Error);
}

}  // namespace
}  // namespace fathom::eval
