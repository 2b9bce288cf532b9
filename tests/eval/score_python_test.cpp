// The scorers against check_scorers.py, which was written from the rules and not from the code.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "eval/random.h"
#include "eval/score/scorer.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::eval {
namespace {

using nlohmann::json;
using Strings = std::vector<std::string>;

// Pieces that the rules treat specially.
const Strings kPieces = {"A",
                         "B.",
                         "C)",
                         "D",
                         "a",
                         "the",
                         "cat",
                         "Cat",
                         "mill",
                         "12",
                         "7.50",
                         "17",
                         "0017",
                         "-3",
                         ",",
                         "\n",
                         "!",
                         "answer is",
                         "Answer:",
                         "option is",
                         "(B)",
                         "it's",
                         "x_y",
                         "\xE6\x9D\x8E",
                         "\xE3\x80\x82",
                         "\xC3\x89"};
const Strings kGolds = {"A",
                        "B",
                        "the mill",
                        "cat",
                        "12",
                        "17",
                        "7.5",
                        "7.50",
                        "a cat the mill",
                        "\xE6\x9D\x8E"
                        "cat",
                        "12 17\ncat mill",
                        "the cat\nthe mill"};

std::string joined(Random& random, const Strings& pieces, size_t most) {
  std::string out;
  for (size_t i = random.below(most + 1); i > 0; --i) {
    out += random.pick(pieces);
    if (random.below(4) > 0) out += ' ';
  }
  return out;
}

json random_case(Random& random, std::string_view scorer) {
  json c = {{"scorer", scorer},
            {"output", joined(random, kPieces, 12)},
            {"golds", json::array()},
            {"options", {"the mill", "cat", "12", "a cat"}},
            {"rivals", json::array()}};
  for (size_t i = 0; i <= random.below(3); ++i) c["golds"].push_back(random.pick(kGolds));
  if (scorer == "bleu80") {
    const Strings words = {"int", "x", "=", "f(", ")", "return", "y", "+", "1;"};
    std::string gold = joined(random, words, 40) + "end", output = gold;
    for (size_t i = random.below(4); i > 0; --i) output.insert(random.below(output.size()), " z ");
    c["golds"] = {gold};
    c["rivals"] = {joined(random, words, 40), gold + " more"};
    c["output"] = "```\n" + output + "\n```";
  }
  return c;
}

// What python prints for the cases; empty where there is no python3.
Strings python_scores(const std::string& input) {
  const std::string script = test::reference("../eval/check_scorers.py");
  const std::string command = "python3 '" + script + "' < '" + input + "' 2>/dev/null";
  Strings lines;
  FILE* pipe = popen(command.c_str(), "r");
  char line[256];
  while (fgets(line, sizeof line, pipe)) lines.emplace_back(line);
  pclose(pipe);
  return lines;
}

TEST(Scorers, AgreeWithAnIndependentScript) {
  if (std::system("python3 -c 0 >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs python3";
  Random random(20240917);
  std::vector<json> cases;
  std::string lines;
  for (const ScorerInfo& s : all_scorers()) {
    for (int i = 0; i < 300; ++i) {
      cases.push_back(random_case(random, s.name));
      lines += cases.back().dump() + "\n";
    }
  }
  const test::TempDir folder;
  test::write_file(folder.file("cases.jsonl"), lines);
  const Strings scores = python_scores(folder.file("cases.jsonl"));
  ASSERT_EQ(scores.size(), cases.size());
  size_t positive = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const json& c = cases[i];
    const auto golds = c["golds"].get<Strings>(), options = c["options"].get<Strings>(),
               rivals = c["rivals"].get<Strings>();
    const auto output = c["output"].get<std::string>();
    const Scorer scorer = find_scorer(c["scorer"].get<std::string>())->score;
    const double score = scorer({output, golds, options, rivals});
    EXPECT_NEAR(score, std::stod(scores[i]), 1e-9) << c.dump();
    positive += score > 0;
  }
  EXPECT_GT(positive, cases.size() / 10);
}

}  // namespace
}  // namespace fathom::eval
