// `fathom eval` as users call it.
#include "cli/program_test.h"

namespace fathom {
namespace {

TEST(EvalCommand, GeneratesTheSameInstancesEveryTime) {
  const std::string call =
      "eval --generate --suite ruler/niah_single_1,kv_words --lengths 1k,2048"
      " --instances 3";
  const Outcome first = fathom(call);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(std::count(first.out.begin(), first.out.end(), '\n'), 12);
  EXPECT_EQ(fathom(call).out, first.out);
  const std::string file = (temporary() / "instances.jsonl").string();
  const json written = fathom(call + " --json -o " + shell_word(file)).parsed();
  EXPECT_EQ(written["sessions"], 12);
  EXPECT_EQ(written["questions"], 6 + 6 * 5);
  EXPECT_EQ(test::read_file(file), first.out);
}

TEST(EvalCommand, ScoresAnswersOfOtherPrograms) {
  const Outcome o = fathom("eval --score - --layout ruler --task niah_multivalue --json",
                           R"({"id":"a","prediction":"12 and 34","answer":["12","34"]})"
                           "\n"
                           R"({"id":"b","prediction":"12","answer":["12","56"]})");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.parsed()["score"], 0.75);
  EXPECT_EQ(o.parsed()["sessions"], 2);
}

TEST(EvalCommand, ComparesTwoFilesPairByPair) {
  const fs::path other = temporary() / "other.jsonl", mine = temporary() / "mine.jsonl";
  std::ofstream a(mine), b(other);
  for (int i = 0; i < 20; ++i) {
    a << fmt::format("{{\"id\":{},\"prediction\":\"x\",\"answer\":\"x\"}}\n", i);
    b << fmt::format("{{\"id\":{},\"prediction\":\"{}\",\"answer\":\"x\"}}\n", i,
                     i < 10 ? "x" : "y");
  }
  a.close();
  b.close();
  const Outcome o = fathom("eval --score " + shell_word(mine) + " --against " + shell_word(other) +
                           " --task kv --json");
  const json c = o.parsed()["comparison"];
  EXPECT_EQ(c["difference"], 0.5);
  EXPECT_EQ(c["better"], 10);
  EXPECT_TRUE(c["seen"]);
  EXPECT_NEAR(c["mcnemar_p"].get<double>(), 2.0 / 1024, 1e-9);
}

TEST(EvalCommand, ComparesPoliciesAndResumes) {
  const std::string folder = shell_word(temporary() / "results");
  const std::string call = "eval --suite facts --lengths 512 --instances 2 -o " + folder +
                           " --policies 'store=f32; store=f16' --json";
  const Outcome first = fathom(call);
  ASSERT_EQ(first.code, 0) << first.err;
  const json report = first.parsed();
  ASSERT_EQ(report["policies"].size(), 2u);
  EXPECT_EQ(report["policies"][0]["questions"], 10);
  EXPECT_EQ(report["policies"][0]["tasks"][0]["task"], "needle/facts");
  EXPECT_TRUE(report["policies"][1]["against_first"].contains("verdict"));
  const std::string grid = test::read_file(temporary() / "results" / "needle.csv");
  EXPECT_EQ(grid.substr(0, grid.find('\n')),
            "policy,mode,task,length,depth,score,n,rouge_l,choice,choice_n");
  EXPECT_GE(std::count(grid.begin(), grid.end(), '\n'), 3) << grid;
  EXPECT_EQ(fathom(call).code, 2);  // it would mix with what is there
  // Half of it lost, as after an interrupt: the rest is run again, and the report is the same.
  const fs::path results = temporary() / "results" / "results.jsonl";
  const std::string lines = test::read_file(results);
  std::ofstream(results, std::ios::binary)
      << lines.substr(0, lines.size() / 2 + 1).substr(0, lines.rfind('\n', lines.size() / 2) + 1);
  const json again = fathom(call + " --resume").parsed();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again["policies"][i]["tasks"], report["policies"][i]["tasks"]);
  }
  EXPECT_EQ(fathom(call + " --resume --seed 7").code, 2);
}

TEST(EvalCommand, SaysWhoseAnswersAConversationGoesOnWith) {
  const std::string call = "eval --suite facts --lengths 512 --instances 1 --repeat 0 --json";
  const Outcome own = fathom(call + " --mode multi-turn --answers own");
  ASSERT_EQ(own.code, 0) << own.err;
  EXPECT_EQ(own.parsed()["mode"], "multi-turn-own");
  EXPECT_EQ(own.parsed()["policies"][0]["mode"], "multi-turn-own");
  const Outcome golden = fathom(call + " --mode multi-turn");
  EXPECT_EQ(golden.parsed()["policies"][0]["mode"], "multi-turn");
  const Outcome unmeant = fathom(call + " --answers own");
  EXPECT_EQ(unmeant.code, 2);
  EXPECT_NE(unmeant.err.find("--mode multi-turn"), std::string::npos) << unmeant.err;
  EXPECT_EQ(fathom(call + " --mode multi-turn --answers gold").code, 2);
}

TEST(EvalCommand, SizesBringWhatWasNotTyped) {
  const std::string call = "eval --suite smoke --lengths 512 --instances 1 --repeat 0 --json";
  const Outcome o = fathom(call + " --policies 'store=f32; store=f16'");
  ASSERT_EQ(o.code, 0) << o.err;
  const json report = o.parsed();
  std::set<std::string> tasks;
  for (const json& t : report["policies"][0]["tasks"]) tasks.insert(t["task"]);
  EXPECT_EQ(tasks, (std::set<std::string>{"needle/facts", "needle/needle", "ruler/niah_multikey_2",
                                          "scbench/kv_words", "scbench/many_shot_labels"}));
  ASSERT_EQ(report["policies"].size(), 2u);
  ASSERT_EQ(report["prose"].size(), 1u) << "while decoding, of one policy";
  EXPECT_EQ(report["prose"][0]["positions"], "decode");
  // Generated without a model: two lengths of each of five tasks.
  const json made = fathom("eval --generate --suite smoke --instances 2 --json -o " +
                           shell_word(temporary() / "smoke.jsonl"))
                        .parsed();
  EXPECT_EQ(made["sessions"], 20);
  // The policies of a size are those that the documentation names.
  const json usual =
      fathom("eval --suite smoke --lengths 256 --instances 1 --repeat 0 --json").parsed();
  std::string named;
  std::istringstream docs(test::read_file(test::reference("../../docs/suite-policies.txt")));
  for (std::string line; std::getline(docs, line);) {
    if (line[0] != '#') named += (named.empty() ? "" : "; ") + line;
  }
  EXPECT_NE(usual["command"].get<std::string>().find("\"" + named + "\""), std::string::npos);
  const Outcome help = fathom("eval --help");
  EXPECT_NE(help.out.find("--suite smoke "), std::string::npos);
  EXPECT_NE(help.out.find("--suite quick "), std::string::npos);
}

TEST(EvalCommand, RejectsARunWhoseDenseOutputChanged) {
  const fs::path folder = temporary() / "unsteady";
  const Outcome o = fathom("eval --suite facts --lengths 512 --instances 1 --repeat 0 --json -o " +
                           shell_word(folder));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.parsed()["steadiness"]["probes"], 2);
  EXPECT_EQ(o.parsed()["steadiness"]["rejected"], false);
  EXPECT_TRUE(o.parsed()["steadiness"]["read_time_change"].is_null());
  const fs::path probes = folder / "probes.jsonl";
  std::string lines = test::read_file(probes);
  const size_t at = lines.rfind("\"output\":\"") + 10;
  lines[at] = lines[at] == '0' ? '1' : '0';
  std::ofstream(probes) << lines;
  const Outcome again = fathom("eval --report " + shell_word(folder));
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("error: REJECT THIS RUN"), std::string::npos) << again.err;
  EXPECT_NE(test::read_file(folder / "report.html").find("REJECT THIS RUN"), std::string::npos);
  const Outcome json = fathom("eval --json --report " + shell_word(folder));
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(json.parsed()["steadiness"]["rejected"], true);
}

TEST(EvalCommand, AReportOfNothingIsAnErrorAndLeavesNothing) {
  const fs::path folder = temporary() / "nothing";
  const Outcome o = fathom("eval --report " + shell_word(folder));
  EXPECT_EQ(o.code, 3);
  EXPECT_NE(o.err.find("hint: "), std::string::npos) << o.err;
  EXPECT_FALSE(fs::exists(folder));
}

TEST(EvalCommand, MeasuresDivergence) {
  const Outcome o = fathom(
      "eval --suite divergence --lengths 256 --instances 3 --json"
      " --policies 'store=f32;store=f16'");
  ASSERT_EQ(o.code, 0) << o.err;
  const json prose = o.parsed()["prose"];
  ASSERT_EQ(prose.size(), 2u);
  EXPECT_EQ(prose[1]["positions"], "decode");
  EXPECT_LT(prose[1]["kl"]["value"], 0.01);
  EXPECT_EQ(fathom("eval --suite divergence").code, 2);
}

TEST(EvalCommand, RefusesWhatCannotBeMeant) {
  const Outcome nowhere = fathom("eval --suite facts --lengths 1k --resume");
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_NE(nowhere.err.find("-o DIR"), std::string::npos) << nowhere.err;
  const Outcome missing = fathom("eval --suite facts --lengths 1k --policies policies.txt");
  EXPECT_EQ(missing.code, 3);
  EXPECT_NE(missing.err.find("policies.txt: there is no such file"), std::string::npos)
      << missing.err;
}

TEST(EvalCommand, MeasuresAgainWhatAnOlderProgramMeasuredWithLess) {
  const fs::path folder = temporary() / "older";
  const std::string call =
      "eval --suite divergence --lengths 256 --instances 2 --repeat 0 --json"
      " --policies 'store=f32;store=f16' -o " +
      shell_word(folder);
  ASSERT_EQ(fathom(call).code, 0);
  const fs::path file = folder / "prose.jsonl";
  const std::string today = test::read_file(file);
  std::ofstream(file) << R"({"policy":"p","reference":"r","kl_p99":0.5})"
                      << "\n";
  const Outcome report = fathom("eval --report " + shell_word(folder));
  EXPECT_EQ(report.code, 0);
  EXPECT_NE(report.err.find("older"), std::string::npos) << report.err;
  EXPECT_NE(report.err.find("hint: "), std::string::npos) << report.err;
  const Outcome again = fathom(call + " --resume");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("measured again"), std::string::npos) << again.err;
  EXPECT_EQ(again.parsed()["prose"].size(), 2u);
  EXPECT_NE(test::read_file(file).find(today), std::string::npos) << "the same figures";
}

TEST(EvalCommand, ExplainsWhatPoliciesStandOn) {
  const fs::path folder = temporary() / "explained";
  const std::string call = "eval --suite divergence --lengths 512 --instances 1 --repeat 0 --json" +
                           (" --explain -o " + shell_word(folder)) +
                           " --policies 'store=f32; store=k4v4 fetch=quest(budget=128)'";
  const Outcome o = fathom(call);
  ASSERT_EQ(o.code, 0) << o.err;
  const json accounts = o.parsed()["accounts"];
  ASSERT_EQ(accounts.size(), 2u);
  const json plain = accounts[0]["account"], lean = accounts[1]["account"];
  EXPECT_EQ(plain["store_share"], 1.0);
  EXPECT_EQ(plain["fetched_share"], 1.0);
  EXPECT_EQ(lean["kept_share"], 1.0);
  EXPECT_LT(lean["store_share"], 0.5);
  EXPECT_LT(lean["fetched_share"], 0.5);
  ASSERT_EQ(lean["ranges"].size(), 9u);  // of 64 tokens: 512 read, 64 decoded
  EXPECT_GT(lean["ranges"][8]["fetched_share"], 0.5);
  EXPECT_LT(lean["ranges"][4]["fetched_share"], 0.5);
  // Again from the files, and with every strip in the page.
  EXPECT_EQ(fathom("eval --json --report " + shell_word(folder)).parsed()["accounts"], accounts);
  EXPECT_NE(test::read_file(folder / "report.html").find("<section id=\"accounts\">"),
            std::string::npos);
  std::ofstream(folder / "accounts.jsonl") << "{\"policy\":\"a\",\"account\":{}}\n";
  EXPECT_EQ(fathom("eval --report " + shell_word(folder)).code, 3);
}

TEST(EvalCommand, MeasuresThePerplexityOfBooks) {
  const fs::path books = temporary() / "books";
  fs::create_directories(books);
  std::ofstream book(books / "rain.txt");
  for (int i = 0; i < 300; ++i) book << "It rained for " << i << " days. The river rose again. ";
  book.close();
  const Outcome o =
      fathom("eval --suite books --lengths 256 --instances 2 --json --books " + shell_word(books));
  ASSERT_EQ(o.code, 0) << o.err;
  const json prose = o.parsed()["prose"];
  ASSERT_EQ(prose.size(), 2u);
  EXPECT_EQ(prose[0]["positions"], "prefill");
  EXPECT_EQ(prose[0]["windows"], 2);
  EXPECT_EQ(prose[0]["kl"]["value"], 0);  // one policy against itself
  EXPECT_NEAR(prose[0]["ln_perplexity"]["value"],
              std::log(prose[0]["reference_perplexity"].get<double>()), 1e-9);
}

TEST(EvalCommand, CutsContextsOfOtherPeople) {
  const fs::path data = temporary() / "long.jsonl";
  json line = {{"id", "x"}, {"multi_turns", {{{"input", "What?"}, {"answer", "This"}}}}};
  std::string context;
  for (int i = 0; i < 900; ++i) context += "It rained in the valley. ";
  line["context"] = context;
  std::ofstream(data) << line.dump() << "\n";
  const Outcome o = fathom("eval --layout scbench --task kv --ctx 512 --repeat 0 --json --data " +
                           shell_word(data));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("cut: 1 of 1 contexts"), std::string::npos) << o.err;
  EXPECT_EQ(o.parsed()["policies"][0]["tasks"][0]["cut_contexts"], 1);
}

TEST(EvalCommand, ExplainsWhatIsWrong) {
  EXPECT_EQ(fathom("eval --mode twice").code, 2);
  EXPECT_EQ(fathom("eval --suite facts --lengths 8k").code, 2);
  EXPECT_EQ(fathom("eval --generate --suite rular").code, 2);
  EXPECT_NE(fathom("eval --generate --suite rular").err.find("'ruler'"), std::string::npos);
  EXPECT_EQ(fathom("eval --generate --lengths 4q").code, 2);
  EXPECT_EQ(fathom("eval --generate --suite repoqa --lengths 256").code, 2);
  EXPECT_EQ(fathom("eval --generate --layout ruler --suite kv").code, 2);
  EXPECT_EQ(fathom("eval --generate --books /nonexistent").code, 3);
  EXPECT_EQ(fathom("eval --score /nonexistent --task kv").code, 3);
  EXPECT_EQ(fathom("eval --score - --task kv", "{\"prediction\":1}").code, 3);
  EXPECT_EQ(fathom("eval --score - --task nothing", "{\"prediction\":\"a\",\"answer\":\"a\"}").code,
            2);
}

}  // namespace
}  // namespace fathom
