// The needle grid's table.
#include "eval/needle_grid.h"

#include <gtest/gtest.h>

namespace fathom::eval {
namespace {

ResultLine needle(const std::string& policy, double depth, double score) {
  ResultLine l;
  l.policy = policy;
  l.mode = "single";
  l.suite = "needle";
  l.task = "needle";
  l.length = 1024;
  l.depth = depth;
  l.result.score = score;
  l.result.rouge_l = score / 2;
  return l;
}

TEST(NeedleGrid, HasARowForEveryPolicyLengthAndDepth) {
  std::vector<ResultLine> lines = {needle("keep=a(x=1,y=2)", 0, 1), needle("keep=a(x=1,y=2)", 0, 0),
                                   needle("b \"q\"", 0.3, 1), needle("b \"q\"", 0.34, 1),
                                   needle("b \"q\"", 0.36, 0)};
  lines.back().result.chosen = true;
  lines.push_back(needle("b \"q\"", 1, 1));
  lines.back().length = 2048;
  lines.back().result.generated = false;
  lines.back().result.rouge_l.reset();
  lines.push_back(needle("b \"q\"", -1, 1));  // in no one place
  lines.push_back(needle("b \"q\"", 0, 1));
  lines.back().mode = kClosedBook;
  lines.push_back(needle("b \"q\"", 0, 1));
  lines.back().suite = "ruler";
  EXPECT_EQ(needle_csv(needle_grid(lines)),
            "policy,mode,task,length,depth,score,n,rouge_l,choice,choice_n\n"
            "\"b \"\"q\"\"\",single,needle/needle,1024,30,1.0000,2,0.5000,,0\n"
            "\"b \"\"q\"\"\",single,needle/needle,1024,40,0.0000,1,0.0000,1.0000,1\n"
            "\"b \"\"q\"\"\",single,needle/needle,2048,100,,0,,,0\n"
            "\"keep=a(x=1,y=2)\",single,needle/needle,1024,0,0.5000,2,0.2500,,0\n");
  EXPECT_EQ(needle_csv({}), "");
  EXPECT_EQ(make_report({lines}).needle_csv, needle_csv(needle_grid(lines)));
}

TEST(NeedleGrid, TellsElevenDepthsApart) {
  for (size_t d = 0; d <= 10; ++d) EXPECT_EQ(nearest_tenth(double(d) / 10), d);
  EXPECT_EQ(nearest_tenth(7), 10u);
}

}  // namespace
}  // namespace fathom::eval
