// The commands that show what a model and its policies do: --explain, profile, heads, recommend,
// replay, perplexity of a stream.
#include "cli/program_test.h"

namespace fathom {
namespace {

TEST(Cli, ReplayRunsAPolicyOnARecording) {
  FATHOM_NEEDS_SHARED("reference/methods/layer2.safetensors");
  const std::string layer = shell_word(*test::shared("reference/methods/layer2.safetensors"));
  const fs::path out = temporary() / "replay.safetensors";
  const Outcome one = fathom(
      "replay " + layer +
      " --kv 'prefill=xattention(threshold=0.9) store=f32' --compare --json -o " + shell_word(out));
  EXPECT_EQ(one.code, 0) << one.err;
  const json summary = one.parsed();
  EXPECT_EQ(summary["prompt_tokens"], 2048);
  EXPECT_EQ(summary["tensors"]["out"], json({2056, 8, 32}));
  EXPECT_LT(summary["prefill_keys_read"], 0.7);
  EXPECT_GT(summary["prompt_error"], 0.0);
  EXPECT_LT(summary["prompt_error"], 0.3);
  EXPECT_TRUE(fs::exists(out));
  EXPECT_NE(fathom("replay " + layer + " --kv store=f32").out.find("prefill_keys_read"),
            std::string::npos);
}

TEST(Cli, ReplayRefusesWhatIsNoRecording) {
  const std::string text = write_text("not-a-recording.safetensors", "hello, world");
  EXPECT_EQ(fathom("replay " + shell_word(text)).code, 3);
  EXPECT_EQ(fathom("replay " + shell_word(text) + " --kv prefill=xatention").code, 2);
}

TEST(Cli, CalibrateWritesATableThatPrefillReads) {
  std::string text;
  for (int i = 0; i < 120; ++i) {
    text += "The code of lantern " + std::to_string(i * 7919) + " is hidden and kept. ";
  }
  const std::string file = shell_word(write_text("lanterns.txt", text));
  const fs::path table = temporary() / "patterns.json";
  const std::string search = "calibrate -f " + file + " --tokens 1024 --rows 32 -t 2 -o ";
  const Outcome found = fathom(search + shell_word(table) + " --budget 0.4 --json");
  ASSERT_EQ(found.code, 0) << found.err;
  const json summary = found.parsed();
  EXPECT_LE(summary["cost"], 0.4);
  EXPECT_GT(summary["heads"].size(), 8u);
  EXPECT_NE(fathom(search + shell_word(table)).out.find("chosen by"), std::string::npos);
  const std::string run = "run -f " + file + " -q 'Which lantern?' -n 2 -t 2 --json --kv ";
  const Outcome used = fathom(run + "'prefill=minference(table=" + table.string() + ")'");
  ASSERT_EQ(used.code, 0) << used.err;
  EXPECT_LT(used.parsed()["replies"][0]["price"]["prompt_read_share"], 0.9);
  EXPECT_EQ(fathom("calibrate -f " + shell_word(write_text("short.txt", "hi")) + " -o x").code, 2);
}

TEST(Cli, ExplainSaysWhatAnAnswerStoodOn) {
  const std::string kv =
      " --kv 'prefill=a_shape(sinks=64,window=64) keep=streaming(sinks=64,recent=192)'";
  std::string text;
  for (int i = 0; i < 120; ++i) text += "The doctor walked slowly towards the harbour. ";
  const std::string file = write_text("long.txt", text);
  const std::string run =
      "run -f " + shell_word(file) + " -q 'Who walked?' -n 4 -t 2 --explain" + kv;
  const Outcome outcome = fathom(run + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json account = outcome.parsed()["replies"][0]["account"];
  EXPECT_LT(account["prefill_share"], 0.7);
  EXPECT_LT(account["kept_share"], 0.5);
  EXPECT_EQ(account["ranges"][0]["tokens_dropped"], 0);
  EXPECT_EQ(account["ranges"][3]["tokens_kept"], 0);
  EXPECT_EQ(account["ranges"].back()["end"], account["tokens"]);
  const Outcome plain = fathom(run);
  EXPECT_NE(plain.err.find("\nkeep    ██··"), std::string::npos) << plain.err;
  EXPECT_FALSE(fathom("run -p x -n 1 --json").parsed()["replies"][0].contains("account"));
  const Outcome chat = fathom("chat --json --explain -n 2", "hello\n");
  EXPECT_EQ(json::parse(chat.out)["account"]["fetched_share"], 1.0) << chat.out << chat.err;
}

TEST(Cli, ProfileLooksAtEveryHeadAndWritesAPageAndRecordings) {
  std::string text;
  for (int i = 0; i < 60; ++i) {
    text += "The code of lantern " + std::to_string(i * 7919) + " is <b>hidden</b> & kept. ";
  }
  const std::string file = write_text("a<b>&.txt", text);
  const fs::path page = temporary() / "profile.html", dump = temporary() / "dump.safetensors";
  const Outcome outcome = fathom(
      "profile -f " + shell_word(file) +
      " --tokens 512 --steps 8 --layers 0,2 --policies "
      "'prefill=a_shape(sinks=64,window=64); keep=streaming(sinks=4,recent=60); keep=sirllm' -t 2 "
      "-o " +
      shell_word(page) + " --dump " + shell_word(dump) + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = outcome.parsed();
  ASSERT_EQ(j["layers"].size(), 2u);
  for (const json& layer : j["layers"]) {
    for (const json& head : layer["heads"]) {
      EXPECT_GE(head["sinks"], 0.0);
      EXPECT_LE(head["spread"], 1.0);
    }
    EXPECT_LT(layer["policies"][0]["prefill"]["keys_read_share"], 0.9);
    EXPECT_LT(layer["policies"][1]["steps"]["keys_read_share"], 0.2);
    EXPECT_TRUE(layer["policies"][2].contains("refused"));
  }
  const std::string html = test::read_file(page);
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b&gt;&amp;.txt"), std::string::npos) << "names are escaped";
  for (const char* outside : {"http://", "https://", "<script", "<b>&"}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
  const std::string layer2 = temporary() / "dump-2.safetensors";
  EXPECT_EQ(j["recordings"][1], layer2);
  const Outcome replay =
      fathom("replay " + shell_word(layer2) + " --kv store=f32 --compare --json");
  ASSERT_EQ(replay.code, 0) << replay.err;
  EXPECT_EQ(replay.parsed()["prompt_tokens"], 504);
  EXPECT_LT(replay.parsed()["prompt_error"], 1e-6);
  const Outcome table = fathom("profile -f " + shell_word(file) + " --tokens 256 --layers 1 -t 2");
  EXPECT_NE(table.out.find("layer   1"), std::string::npos) << table.out << table.err;
  EXPECT_EQ(fathom("profile -f " + shell_word(file) + " --layers 99").code, 2);
  EXPECT_EQ(fathom("profile -f " + shell_word(file) + " --layers 0-").code, 2);
}

TEST(Cli, HeadsWritesATableThatPoliciesRead) {
  const std::string table = temporary() / "heads.tsv", gates = temporary() / "gates.tsv";
  const std::string find = "heads --block 32 --rows 40 ";
  const Outcome outcome = fathom(find + "-t 2 --share 0.25 -o " + shell_word(table) + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = outcome.parsed();
  ASSERT_EQ(j["heads"].size(), 4u * 8);
  EXPECT_EQ(j["tokens"], 128);
  EXPECT_EQ(j["retrieval_kv_heads"], 4);
  // What the table says is what was printed.
  std::ifstream lines(table);
  std::string line;
  std::vector<int> marks;
  while (std::getline(lines, line)) {
    if (line[0] == '#') continue;
    std::istringstream words(line);
    for (int mark; words >> mark;) marks.push_back(mark);
  }
  ASSERT_EQ(marks.size(), 4u * 4);
  for (const json& head : j["heads"]) {
    const size_t at = head["layer"].get<size_t>() * 4 + head["kv_head"].get<size_t>();
    EXPECT_EQ(marks[at] == 1, head["retrieval"].get<bool>()) << head;
  }
  const Outcome scored = fathom(find + "-t 2 --gates -o " + shell_word(gates));
  EXPECT_NE(scored.out.find("attending to everything alike"), std::string::npos) << scored.out;
  for (const std::string& file : {table, gates}) {
    for (const std::string method :
         {"keep=duo(heads=", "keep=razor(heads=", "prefill=lserve(table="}) {
      const Outcome run = fathom("run -p hello -n 2 --kv " + shell_word(method + file + ")"));
      EXPECT_EQ(run.code, 0) << method << run.err;
    }
  }
  const Outcome again = fathom(find + "--gates -s 1 -t 1 -o " + shell_word(table));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(test::read_file(table), test::read_file(gates)) << "whatever the threads";
  EXPECT_EQ(fathom("heads -o x.tsv --block 5000").code, 2) << "more than the vocabulary";
  EXPECT_EQ(fathom("heads").code, 2);
}

TEST(Cli, WhatIsRecommendedIsWhatAutoUses) {
  const fs::path home = temporary() / "config";
  ASSERT_EQ(setenv("XDG_CONFIG_HOME", home.c_str(), 1), 0);
  const Outcome before = fathom("run -p x -n 1 --kv auto");
  EXPECT_EQ(before.code, 2);
  EXPECT_NE(before.err.find("hint: fathom recommend"), std::string::npos) << before.err;
  const std::string search =
      "recommend --memory 22MiB --length 2k --time 4s --windows 2 -t 2 --loss 2%";
  const Outcome dry = fathom(search + " --dry-run");
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("<- chosen"), std::string::npos) << dry.out;
  EXPECT_EQ(fathom("run -p x -n 1 --kv auto").code, 2) << "a dry run keeps nothing";
  const Outcome found = fathom(search + " --json");
  ASSERT_EQ(found.code, 0) << found.err;
  const json j = found.parsed();
  EXPECT_GE(j["evidence"].size(), 20u);
  EXPECT_TRUE(j["judged_by"] == "perplexity" || j["judged_by"] == "divergence");
  EXPECT_LT(j["seconds"], 30) << "the time was over after 4";
  // The same contents under another name.
  const fs::path copy = temporary() / "copy.gguf";
  fs::copy_file(test::bundled_model(), copy);
  const Outcome after = fathom("run " + shell_word(copy) + " -p x -n 1 --kv auto --json");
  ASSERT_EQ(after.code, 0) << after.err;
  const std::string used = after.parsed()["kv"], kept = j["kv"];
  // What is used says every parameter.
  EXPECT_EQ(used.substr(0, used.find_first_of(" (")), kept.substr(0, kept.find_first_of(" (")));
  EXPECT_EQ(used.find("keep=all") == std::string::npos, kept.find("keep=all") == std::string::npos);
  std::ofstream(copy, std::ios::app) << "x";
  EXPECT_EQ(fathom("run " + shell_word(copy) + " -p x -n 1 --kv auto").code, 2)
      << "another model's contents";
  EXPECT_EQ(fathom("recommend --memory 22MiB --length 2k --loss nothing").code, 2);
  EXPECT_EQ(fathom("recommend --memory 22MiB --length 2k --time soon").code, 2);
  EXPECT_EQ(fathom("recommend --memory 1MiB --length 2k").code, 5);
  unsetenv("XDG_CONFIG_HOME");
}

TEST(Cli, PerplexityOfAStreamGoesOnBeyondTheTrainedContext) {
  std::string text;
  for (int i = 0; i < 1500; ++i) text += "The doctor walked slowly towards the harbour. ";
  const std::string file = write_text("stream.txt", text);
  const Outcome outcome =
      fathom("perplexity -f " + shell_word(file) +
             " --stream --segment 2000 -b 64 -c 100000 --kv-memory 4MiB -t 2 "
             "--kv 'keep=streaming(sinks=4,recent=508,positions=slots)' --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json segments = outcome.parsed()["segments"];
  ASSERT_GT(segments.size(), 5u);
  EXPECT_GT(segments.back()["end"], 10000);
  EXPECT_LE(segments.back()["kv_bytes"], 1.2 * segments[0]["kv_bytes"].get<double>());
  const double first = segments[0]["perplexity"], last = segments.back()["perplexity"];
  EXPECT_LT(last, 1.5 * first) << "the text repeats itself";
  const Outcome table = fathom("perplexity -f " + shell_word(file) + " --stream --characters 5000");
  EXPECT_NE(table.out.find("us a token"), std::string::npos) << table.err;
  EXPECT_EQ(fathom("perplexity -f " + shell_word(file) + " --stream -c 512").code, 6)
      << "everything does not fit";
}

}  // namespace
}  // namespace fathom
