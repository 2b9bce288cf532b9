// All generators: what each instance must hold, and that a program without a model can solve those
// that have one answer.
#include "eval/task/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/error.h"
#include "engine/load_vocab.h"
#include "eval/instance_file.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"
#include "file/checkpoint.h"
#include "support/shared_data.h"
#include "text/tokenizer.h"

namespace fathom::eval {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

// About a token for every four bytes, more of digits: quick, and uneven as real ones are.
size_t rough_tokens(std::string_view text) {
  size_t n = 0, run = 0;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool continues = (static_cast<unsigned char>(c) & 0xc0) == 0x80;  // of a character
    run = continues || (letter && run < 5) ? run + 1 : 1;
    n += run == 1 && c != ' ';
  }
  return n;
}

const Library& generated() {
  static const Library library;
  return library;
}

Draw draw_of(std::string_view name, size_t length, size_t index = 0, size_t instances = 8) {
  static const Meter meter{rough_tokens};
  Draw draw;
  draw.task = choose_tasks(name).at(0);
  draw.library = &generated();
  draw.meter = &meter;
  draw.length = length;
  draw.index = index;
  draw.instances = instances;
  return draw;
}

std::string full_name(const TaskInfo& t) { return fmt::format("{}/{}", t.suite, t.name); }

Instance instance_of(std::string_view name, size_t length, size_t index = 0) {
  return make_instance(draw_of(name, length, index));
}

class EachTask : public testing::TestWithParam<const TaskInfo*> {
 protected:
  std::string name() const { return full_name(*GetParam()); }
};
std::vector<const TaskInfo*> every_task() { return choose_tasks("all,many_shot_labels"); }
INSTANTIATE_TEST_SUITE_P(Tasks, EachTask, testing::ValuesIn(every_task()), [](const auto& p) {
  return std::string(p.param->suite) + "_" + std::string(p.param->name);
});

TEST_P(EachTask, HasTheLengthAskedFor) {
  for (const size_t length : {4096, 16384}) {
    for (size_t index = 0; index < 4; ++index) {
      const Draw draw = draw_of(name(), length, index);
      const Instance i = make_instance(draw);
      EXPECT_LE(session_tokens(draw, i), length) << i.id;
      EXPECT_GE(session_tokens(draw, i), size_t(0.97 * double(length)) - 4) << i.id;
    }
  }
}

TEST_P(EachTask, IsAFunctionOfItsSeed) {
  Draw draw = draw_of(name(), 4096, 3);
  const std::string line = instance_line(make_instance(draw), Layout::kFathom);
  EXPECT_EQ(instance_line(make_instance(draw), Layout::kFathom), line);
  draw.seed = 43;
  EXPECT_NE(instance_line(make_instance(draw), Layout::kFathom), line);
  draw.seed = 42;
  draw.index = 4;
  EXPECT_NE(instance_line(make_instance(draw), Layout::kFathom), line);
}

TEST_P(EachTask, KeepsItsFactsAtEveryLength) {
  if (name() == "scbench/mf" || name() == "ruler/fwe" || name() == "ruler/cwe") {
    GTEST_SKIP() << "the answer is a property of the whole context";
  }
  const Instance a = instance_of(name(), 4096, 1), b = instance_of(name(), 6144, 1);
  const bool summary = name().find("summary") != std::string::npos;  // of more documents
  EXPECT_EQ(a.turns[0].answers == b.turns[0].answers || summary, true);
  EXPECT_EQ(a.depth, b.depth);
}

TEST_P(EachTask, HoldsItsAnswersAtTheGoldSpans) {
  for (size_t index = 0; index < 8; ++index) {
    const Instance i = instance_of(name(), 4096, index);
    ASSERT_FALSE(i.turns.empty());
    for (const Turn& t : i.turns) {
      ASSERT_FALSE(t.answers.empty());
      EXPECT_FALSE(t.input.empty());
      std::string gold;
      for (const Span& s : t.gold) {
        ASSERT_LE(s.end, i.context.size());
        const std::string text = i.context.substr(s.begin, s.end - s.begin);
        EXPECT_EQ(text, trim(text));
        gold += text + "\n";
      }
      if (t.gold.empty()) continue;  // the answer is in no single place
      if (name() == "scbench/choice_eng") {
        const std::string& right = t.options.at(static_cast<size_t>(t.answers[0][0] - 'A'));
        EXPECT_THAT(gold, HasSubstr(right));
        continue;
      }
      if (i.task_of(t) == "summary") {
        for (const std::string& value : t.options) EXPECT_THAT(gold, HasSubstr(value)) << i.id;
        continue;
      }
      for (const std::string& a : t.answers) EXPECT_THAT(gold, HasSubstr(a)) << i.id;
    }
  }
}

TEST(Weave, MarksInsertsAtTheirDepth) {
  Instance i;
  i.turns.resize(2);
  const Strings units = {"aaaa ", "bbbb ", "cccc ", "dddd "};
  weave(units, {{"END ", 1.0, {1}}, {"\nMID\n", 0.5, {0, 1}}, {"TOP ", 0.0, {}}}, i);
  EXPECT_EQ(i.context, "TOP aaaa bbbb \nMID\ncccc dddd END ");
  EXPECT_EQ(i.turns[0].gold, (std::vector<Span>{{15, 18}}));
  EXPECT_EQ(i.turns[1].gold, (std::vector<Span>{{15, 18}, {29, 32}}));
}

TEST_P(EachTask, GivesItsOwnAnswersFullMarks) {
  const Instance i = instance_of(name(), 4096, 2);
  for (const Turn& t : i.turns) {
    std::string output;
    for (const std::string& a : t.answers) output += a + " ";
    const ScorerInfo& scorer = scorer_of(GetParam()->suite, i.task_of(t));
    EXPECT_EQ(scorer.score({output, t.answers, t.options, {}}), 1) << scorer.name << output;
    EXPECT_EQ(scorer.score({"", t.answers, t.options, {}}), 0) << scorer.name;
  }
}

TEST_P(EachTask, IsReadAsItIsWritten) {
  const Instance i = instance_of(name(), 4096, 5);
  const std::string line = instance_line(i, Layout::kFathom);
  const auto again = parse_instances(line, "x", Layout::kFathom);
  EXPECT_EQ(instance_line(again.at(0), Layout::kFathom), line);
  EXPECT_EQ(again[0].context, i.context);
}

// With the bundled model's own tokenizer.
TEST_P(EachTask, MeasuresWithARealTokenizer) {
  static const auto tokenizer = [] {
    const auto checkpoint = file::Checkpoint::open(test::bundled_model());
    return text::Tokenizer::create(engine::load_vocab(checkpoint.metadata()));
  }();
  const Meter meter{[](std::string_view t) { return tokenizer->encode(t).size(); }};
  Draw draw = draw_of(name(), 8192, 1);
  draw.meter = &meter;
  try {
    const Instance i = make_instance(draw);
    EXPECT_LE(i.tokens, 8192u);
    EXPECT_GE(i.tokens, 7942u);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUnsupported) << e.what();
    EXPECT_EQ(name(), "scbench/qa_chn");
  }
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

// Solvers: what a perfect reader would do.

TEST(Needle, CoversTheGrid) {
  std::set<std::string> needles;
  for (size_t i = 0; i < 55; ++i) {
    const Instance n = make_instance(draw_of("needle/needle", 2048, i, 55));
    EXPECT_DOUBLE_EQ(n.depth, double(i % 11) / 10);
    const double at = double(n.turns[0].gold[0].begin) / double(n.context.size());
    EXPECT_NEAR(at, n.depth, 0.05) << i;
    EXPECT_EQ(occurrences(n.context, n.turns[0].answers[0]), 1u);
    needles.insert(n.turns[0].answers[0]);
  }
  EXPECT_EQ(needles.size(), 5u);
}

TEST(Niah, CanBeSolvedBySearching) {
  for (const TaskInfo* t : choose_tasks("ruler")) {
    if (t->name.rfind("niah", 0) != 0) continue;
    for (size_t index = 0; index < 3; ++index) {
      const Instance i = instance_of(full_name(*t), 4096, index);
      Strings found;
      std::map<std::string, size_t> keys;
      const std::regex needle(R"(The secret \w+ for (\S+) is: (\S+)\.)");
      for (std::sregex_iterator at(i.context.begin(), i.context.end(), needle), end; at != end;
           ++at) {
        ++keys[(*at)[1]];
        if (i.turns[0].input.find((*at)[1].str()) != std::string::npos) found.push_back((*at)[2]);
      }
      std::set<std::string> golds(i.turns[0].answers.begin(), i.turns[0].answers.end());
      EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), golds) << i.id;
      EXPECT_EQ(found.size(), i.turns[0].answers.size()) << i.id;
      const bool many = t->name == "niah_multivalue";
      for (const auto& [key, n] : keys) EXPECT_EQ(n, many ? 4u : 1u) << key;
    }
  }
}

TEST(Niah, SpreadsTheNeedleOverTheDepths) {
  for (size_t index = 0; index < 8; ++index) {
    const Instance i = instance_of("ruler/niah_single_2", 4096, index);
    EXPECT_EQ(static_cast<size_t>(i.depth * 8), index);
  }
}

Strings follow(const std::string& text, const std::string& value) {
  Strings found;
  const std::regex line(R"(VAR (\w+) = (VAR )?(\w+)\n)");
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
    const std::string right = (*at)[3];
    const bool copies = std::find(found.begin(), found.end(), right) != found.end();
    if (right == value || ((*at)[2].matched && copies)) found.push_back((*at)[1]);
  }
  return found;
}

TEST(VariableTracking, CanBeSolvedByFollowing) {
  for (const char* task : {"ruler/vt", "scbench/vt"}) {
    for (size_t index = 0; index < 5; ++index) {
      const Instance i = instance_of(task, 4096, index);
      for (const Turn& t : i.turns) {
        std::smatch value;
        ASSERT_TRUE(std::regex_search(t.input, value, std::regex("[0-9]+")));
        EXPECT_EQ(follow(i.context + "\n", value[0]), t.answers) << i.id;
      }
    }
  }
}

std::vector<std::pair<size_t, std::string>> counted(const std::string& text) {
  std::map<std::string, size_t> counts;
  for (const std::string_view w : split(text, " \n")) {
    if (w.find_first_of("0123456789.") == std::string_view::npos) ++counts[std::string(w)];
  }
  std::vector<std::pair<size_t, std::string>> out;
  for (const auto& [word, n] : counts) out.emplace_back(n, word);
  std::sort(out.rbegin(), out.rend());
  return out;
}

TEST(CommonWords, AreTheTenMostFrequent) {
  for (const size_t length : {2048, 4096, 32768}) {
    const Instance i = instance_of("ruler/cwe", length);
    const auto words = counted(i.context);
    std::set<std::string> ten;
    for (size_t k = 0; k < 10; ++k) ten.insert(words[k].second);
    const Strings& golds = i.turns[0].answers;
    EXPECT_EQ(ten, std::set<std::string>(golds.begin(), golds.end()));
    EXPECT_EQ(words[9].first, length < 4096 ? 6u : 30u);
    EXPECT_LE(words[10].first, length < 4096 ? 1u : 3u);
    for (const auto& [n, word] : words) {
      for (const std::string& gold : golds) {
        EXPECT_TRUE(word == gold || word.find(gold) == std::string::npos) << word << " " << gold;
      }
    }
  }
}

TEST(FrequentWords, FollowZipfsLaw) {
  for (const size_t length : {1024, 4096, 16384}) {
    const Instance i = instance_of("ruler/fwe", length);
    const auto words = counted(i.context);
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(words[k].second, i.turns[0].answers[k]);
    EXPECT_GT(words[2].first, words[3].first);
    EXPECT_NEAR(double(words[0].first) / double(words[1].first), 9.0 / 4, 0.25);
  }
}

TEST(KeyValue, IsAnObjectThatCanBeLookedUp) {
  const Instance i = instance_of("scbench/kv", 8192);
  const auto object = nlohmann::json::parse(i.context);
  std::set<size_t> fifths;
  for (const Turn& t : i.turns) {
    const std::string key = t.input.substr(6, 36);
    EXPECT_EQ(object.at(key), t.answers[0]);
    fifths.insert(5 * t.gold[0].begin / i.context.size());
  }
  EXPECT_EQ(fifths.size(), 5u);
  EXPECT_EQ(occurrences(i.context, "\": \""), object.size());  // no key twice
}

TEST(KeyValueWords, HasEveryKeyOnce) {
  const Instance i = instance_of("scbench/kv_words", 4096);
  for (const Turn& t : i.turns) {
    const std::string key = t.input.substr(24, t.input.size() - 25);
    EXPECT_EQ(occurrences(i.context, "The code of the " + key + " is " + t.answers[0] + "."), 1u);
    EXPECT_EQ(occurrences(i.context, "The code of the " + key + " "), 1u);
  }
}

TEST(PrefixSuffix, HasOneStringWithBothEnds) {
  for (size_t index = 0; index < 4; ++index) {
    const Instance i = instance_of("scbench/prefix_suffix", 8192, index);
    for (const Turn& t : i.turns) {
      const std::string p = t.input.substr(26, 5), s = t.input.substr(t.input.size() - 7, 5);
      size_t both = 0, begins = 0, ends = 0;
      for (const std::string_view line : split(i.context, "\"\n")) {
        begins += line.starts_with(p);
        ends += line.ends_with(s);
        if (line.starts_with(p) && line.ends_with(s)) {
          ++both;
          EXPECT_EQ(line, t.answers[0]);
        }
      }
      EXPECT_EQ(both, 1u);
      EXPECT_EQ(begins, 5u);
      EXPECT_EQ(ends, 5u);
    }
  }
}

TEST(MathFind, AsksWhatTheListSays) {
  for (size_t index = 0; index < 5; ++index) {
    const Instance i = instance_of("scbench/mf", 4096, index);
    auto all = nlohmann::json::parse(i.context).get<std::vector<int>>();
    ASSERT_EQ(all.size() % 2, 1u);
    std::sort(all.begin(), all.end());
    const int median = all[all.size() / 2];
    const std::set<int> distinct(all.begin(), all.end());
    const std::map<std::string, int> want = {{"largest", *distinct.rbegin()},
                                             {"smallest", *distinct.begin()},
                                             {"second largest", *std::next(distinct.rbegin())},
                                             {"second smallest", *std::next(distinct.begin())},
                                             {"median", median}};
    for (const Turn& t : i.turns) {
      const std::string name = t.answer_prefix.substr(4, t.answer_prefix.size() - 15 + 1 - 1);
      EXPECT_EQ(t.answers[0], std::to_string(want.at(std::string(trim(name))))) << name;
    }
  }
}

TEST(Choice, BalancesItsLetters) {
  std::map<std::string, size_t> letters;
  for (size_t index = 0; index < 8; ++index) {
    const Instance i = instance_of("scbench/choice_eng", 4096, index);
    for (const Turn& t : i.turns) {
      ++letters[t.answers[0]];
      EXPECT_EQ(std::set<std::string>(t.options.begin(), t.options.end()).size(), 4u);
      for (const std::string& o : t.options) EXPECT_THAT(i.context, HasSubstr(o));
    }
  }
  for (const auto& [letter, n] : letters) EXPECT_EQ(n, 10u) << letter;
}

TEST(Story, PlantsFactsOfItsOwn) {
  const Instance i = instance_of("scbench/qa_eng", 8192);
  size_t spans = 0;
  for (const Turn& t : i.turns) spans += t.gold.size();
  EXPECT_EQ(spans, 6u);  // one a question, two of the question that joins two
}

TEST(Dates, AreRightAcrossLeapYears) {
  // Solved with another calendar: days since 1970 by the C library's rule.
  const auto number = [](const std::string& date) {
    static const Strings kMonths = {"January",   "February", "March",    "April",
                                    "May",       "June",     "July",     "August",
                                    "September", "October",  "November", "December"};
    const auto parts = split(date, " ");
    const int d = std::stoi(std::string(parts[0])), y = std::stoi(std::string(parts[2]));
    const int m =
        static_cast<int>(std::find(kMonths.begin(), kMonths.end(), parts[1]) - kMonths.begin()) + 1;
    const std::chrono::year_month_day day{std::chrono::year(y), std::chrono::month(unsigned(m)),
                                          std::chrono::day(unsigned(d))};
    EXPECT_TRUE(day.ok()) << date;
    return std::chrono::sys_days(day).time_since_epoch().count();
  };
  const std::regex ask(R"(Today is (\d+ \w+ \d+)\. Which date is (\d+) days (from now|ago)\?)");
  for (size_t index = 0; index < 40; index += 4) {
    for (const Turn& t : instance_of("scbench/many_shot", 4096, index).turns) {
      std::smatch m;
      ASSERT_TRUE(std::regex_search(t.input, m, ask)) << t.input;
      const int shift = std::stoi(m[2]) * (m[3] == "ago" ? -1 : 1);
      const std::string& right = t.options.at(static_cast<size_t>(t.answers[0][1] - 'A'));
      EXPECT_EQ(number(right), number(m[1]) + shift) << t.input;
    }
  }
}

TEST(ManyShot, LabelsAreInvented) {
  for (size_t index = 0; index < 4; ++index) {
    for (const Turn& t : instance_of("scbench/many_shot_labels", 4096, index).turns) {
      EXPECT_THAT(t.input, testing::StartsWith("Which kind of word is"));
      EXPECT_EQ(t.options.size(), 3u);
    }
  }
}

TEST(ManyShot, NeverShowsTheQuestionAmongItsExamples) {
  for (size_t index = 0; index < 4; ++index) {
    const Instance i = instance_of("scbench/many_shot", 8192, index);
    for (const Turn& t : i.turns) EXPECT_EQ(i.context.find(t.input), std::string::npos);
  }
}

TEST(Repository, FunctionsAreNotAlike) {
  const Instance i = instance_of("scbench/repoqa", 8192);
  for (size_t t = 0; t < i.turns.size(); ++t) {
    const std::string output = "```cpp\n" + i.turns[t].answers[0] + "\n```";
    Strings rivals;
    for (size_t o = 0; o < i.turns.size(); ++o) {
      if (o != t) rivals.push_back(i.turns[o].answers[0]);
    }
    EXPECT_EQ(score_bleu80({output, i.turns[t].answers, {}, rivals}), 1) << output;
    EXPECT_EQ(score_bleu80({output, rivals, {}, {}}), 0);
  }
}

TEST(Cards, GoldDocumentsNeverContradictOthers) {
  for (size_t index = 0; index < 10; ++index) {
    const Instance i = instance_of("ruler/qa_2", 8192, index);
    std::smatch m;
    ASSERT_TRUE(std::regex_search(i.turns[0].input, m, std::regex("where (.*) learned")));
    EXPECT_EQ(occurrences(i.context, m[1].str() + " learned the work of"), 1u);
    EXPECT_EQ(i.turns[0].gold.size(), 2u);
  }
}

TEST(Chinese, IsRefusedWhereTheTokenizerDoesNotKnowIt) {
  const Meter bytes{[](std::string_view t) { return t.size(); }};
  Draw draw = draw_of("scbench/qa_chn", 4096);
  draw.meter = &bytes;
  EXPECT_THROW(make_instance(draw), Error);
}

TEST(Fit, RefusesWhatCannotFit) {
  try {
    instance_of("scbench/repoqa", 256);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kTooLong);
    EXPECT_THAT(e.what(), HasSubstr("needs at least"));
  }
}

TEST(ChooseTasks, TakesSuitesAndNames) {
  EXPECT_EQ(choose_tasks("ruler").size(), 13u);
  EXPECT_EQ(choose_tasks("scbench").size(), 13u);  // SCBench's twelve and kv_words
  EXPECT_EQ(choose_tasks("vt").size(), 2u);
  EXPECT_EQ(choose_tasks("ruler/vt, kv,ruler/vt").size(), 2u);
  EXPECT_EQ(choose_tasks("all").size(), all_tasks().size() - 1);  // without many_shot_labels
  EXPECT_EQ(choose_tasks("all,many_shot_labels").size(), all_tasks().size());
  EXPECT_THROW(choose_tasks("rular"), Error);
  for (const TaskInfo& t : all_tasks()) EXPECT_EQ(choose_tasks(full_name(t)).size(), 1u);
}

}  // namespace
}  // namespace fathom::eval
