// The program as a user meets it: run as a process, judged by what it prints and how it exits.
#include "cli/program_test.h"

namespace fathom {
namespace {

TEST(Cli, HelpTeachesEveryCommand) {
  const Outcome all = fathom("--help");
  EXPECT_EQ(all.code, 0);
  for (const char* command :
       {"run", "chat", "demo", "inspect", "tokenize", "logits", "template", "synth", "quantize",
        "perplexity", "policies", "replay", "profile", "heads", "recommend"}) {
    EXPECT_NE(all.out.find(command), std::string::npos) << command;
    const Outcome one = fathom(std::string(command) + " --help");
    EXPECT_EQ(one.code, 0) << command;
    EXPECT_NE(one.out.find("--json"), std::string::npos) << command;
  }
  EXPECT_EQ(fathom("--version").code, 0);
}

TEST(Cli, UsageErrorsSayWhatAndExitWith2) {
  EXPECT_EQ(fathom("").code, 2);
  EXPECT_EQ(fathom("walk").code, 2);
  EXPECT_EQ(fathom("run --no-such-option").code, 2);
  const Outcome policy = fathom("run -p x --kv store=f61");
  EXPECT_EQ(policy.code, 2);
  EXPECT_NE(policy.err.find("did you mean 'f16'?"), std::string::npos) << policy.err;
  EXPECT_EQ(fathom("run -p x --temp -1").code, 2);
  EXPECT_EQ(fathom("run -p x -l nonsense").code, 2);
  EXPECT_EQ(fathom("run -p x -l 5+nan").code, 2);
  EXPECT_EQ(fathom("bench -p 18446744073709551615 -d 5").code, 2);
  EXPECT_EQ(fathom("synth none.gguf -t 100000").code, 2);
  EXPECT_EQ(fathom("quantize in.gguf out.gguf q8_0 -t -1").code, 2);
}

TEST(Cli, BadFilesSayWhichAndExitWith3) {
  const std::string bad = write_text("bad.gguf", "GGUX not a model");
  const Outcome outcome = fathom("run " + shell_word(bad) + " -p x");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.err.find("bad.gguf"), std::string::npos);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 2)
      << outcome.err;  // and a hint
  EXPECT_EQ(fathom("run /no/such/file -p x").code, 3);
  EXPECT_EQ(fathom("run -f /no/such/file").code, 3);
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(fathom("template --input -", deep).code, 3);
  EXPECT_EQ(fathom("run -f " + std::string(5000, 'x')).code, 3);
  EXPECT_EQ(fathom("eval --report " + std::string(5000, 'x')).code, 3);
}

TEST(Cli, RunAnswersQuestionsOnForks) {
  const std::string text = write_text(
      "facts.txt",
      "The rain had ceased. The code of the amber lantern is 58291. We were all tired, "
      "and the fire was nearly out. The city of the iron gate is Vienna. It was late.\n");
  const Outcome outcome =
      fathom("run -f " + shell_word(text) +
             " -q 'What is the code of the amber lantern?' -q 'What is the city of the iron gate?' "
             "-n 32 --json -t 2");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = outcome.parsed();
  ASSERT_EQ(j["replies"].size(), 2u);
  EXPECT_NE(j["replies"][0]["text"].get<std::string>().find("58291"), std::string::npos)
      << j.dump(1);
  EXPECT_NE(j["replies"][1]["text"].get<std::string>().find("Vienna"), std::string::npos)
      << j.dump(1);
  EXPECT_GT(j["document"]["tokens"].get<int>(), 30);
  EXPECT_LT(j["replies"][0]["price"]["prompt_tokens"].get<int>(), 30);
  EXPECT_GT(j["replies"][0]["price"]["kv_bytes"].get<int>(), 0);
}

TEST(Cli, RunReadsStandardInputAndRawText) {
  const Outcome piped = fathom("run -q 'What is the price of the old bell?' -n 24 -t 2",
                               "The price of the old bell is 40117. It was noon.");
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_NE(piped.out.find("40117"), std::string::npos) << piped.out;
  EXPECT_NE(piped.err.find("tok/s"), std::string::npos);
  const Outcome quiet = fathom("run -p 'The old gardener' --raw -n 8 --quiet -t 2");
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.err, "");
  const Outcome none = fathom("run --raw", "");
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("there is no text"), std::string::npos) << none.err;
}

// A file's author does not get to move the cursor.
TEST(Cli, NamesAreShownWithoutControlCharacters) {
  std::string bytes = test::read_file(test::bundled_model());
  const size_t at = bytes.find("general.architecture");
  ASSERT_NE(at, std::string::npos);
  const size_t value = bytes.find("llama", at);
  bytes[at] = '\x1b';
  const std::string key = write_text("key.gguf", bytes);
  EXPECT_EQ(fathom("inspect " + shell_word(key)).out.find('\x1b'), std::string::npos);
  bytes[at] = 'g';
  bytes[value] = '\x1b';
  const Outcome o = fathom("run " + shell_word(write_text("value.gguf", bytes)) + " -p x");
  EXPECT_EQ(o.code, 4);
  EXPECT_EQ(o.err.find('\x1b'), std::string::npos) << o.err;
}

TEST(Cli, WhatAnOptionCannotDoIsSaid) {
  EXPECT_EQ(fathom("inspect -o nowhere").code, 2);
  EXPECT_EQ(fathom("inspect --tensor blk.0.attn_q.weight").code, 2);
  const Outcome logits =
      fathom("logits --tokens 1,2 -o nowhere --kv \"prefill=gemfilter(budget=64)\"");
  EXPECT_EQ(logits.code, 4);
  EXPECT_NE(logits.err.find("chooses tokens"), std::string::npos) << logits.err;
}

TEST(Cli, TooLongAPromptIsRefusedWithBothCounts) {
  const Outcome outcome = fathom("run --ctx 32 --raw -t 1", std::string(400, 'x') + " and so on");
  EXPECT_EQ(outcome.code, 6);
  EXPECT_NE(outcome.err.find("do not fit into the context of 32"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("hint: "), std::string::npos);
}

TEST(Cli, ChatKeepsItsHistory) {
  const std::string text =
      write_text("chat.txt", "The owner of the silver key is Clara Grace. It rained.\n");
  const Outcome outcome = fathom("chat --json -t 2 --temp 0 -n 24",
                                 "/file " + text +
                                     "\nWhat is the owner of the silver key?\n/nonsense\n"
                                     "What is the owner of the silver key?\n/stats\n/quit\n");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  std::string line;
  std::vector<json> all;
  while (std::getline(lines, line)) all.push_back(json::parse(line));
  ASSERT_EQ(all.size(), 3u) << outcome.out;
  EXPECT_NE(all[0]["text"].get<std::string>().find("Clara Grace"), std::string::npos) << all[0];
  EXPECT_TRUE(all[1].contains("error"));
  EXPECT_NE(all[2]["text"].get<std::string>().find("Clara Grace"), std::string::npos) << all[2];
  EXPECT_NE(outcome.err.find("policy"), std::string::npos);
}

TEST(Cli, DemoAnswersRight) {
  const Outcome outcome = fathom("demo --json -t 2");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = outcome.parsed();
  EXPECT_EQ(j["right"], 5);
  EXPECT_EQ(j["questions"], 5);
  EXPECT_NE(fathom("demo -t 2").out.find("time to first token"), std::string::npos);
}

TEST(Cli, InspectShowsWhatAFileHolds) {
  const json j = fathom("inspect --json --ctx 1000").parsed();
  EXPECT_EQ(j["tensors"].size(), 38u);
  EXPECT_EQ(j["types"]["F16"]["tensors"], 29);
  EXPECT_EQ(j["memory"]["context"], 1000);
  EXPECT_EQ(j["metadata"]["llama.block_count"], 4);
  const std::string out = temporary() / "norm.f32";
  EXPECT_EQ(fathom("inspect --tensor blk.0.attn_q.weight -o " + shell_word(out)).code, 0);
  EXPECT_EQ(fs::file_size(out), 256u * 256 * 4);
  EXPECT_EQ(fathom("inspect --tensor no.such -o " + shell_word(out)).code, 3);
  EXPECT_NE(fathom("inspect").out.find("memory for a context of 4,096 tokens"), std::string::npos);
}

TEST(Cli, TokenizeBothWays) {
  const json j = fathom("tokenize -p 'The rain <|user|>' --json").parsed();
  std::string ids, text;
  for (const json& t : j["tokens"]) {
    ids += std::to_string(t["id"].get<int>()) + ",";
    text += t["piece"].get<std::string>();
  }
  EXPECT_EQ(text, "The rain <|user|>");
  EXPECT_EQ(fathom("tokenize --decode -p " + shell_word(ids)).out, "The rain <|user|>");
  EXPECT_EQ(fathom("tokenize --parse-special -p '<|user|>'").out, "4093\n");
  EXPECT_NE(fathom("tokenize -p '<|user|>'").out, "4093\n");
  EXPECT_NE(fathom("tokenize -p 'The rain' --pieces").out.find("\" rain\""), std::string::npos);
  EXPECT_EQ(fathom("tokenize --decode -p 999999").code, 2);
}

TEST(Cli, LogitsAreRawFloats) {
  const std::string last = temporary() / "last.f32", all = temporary() / "all.f32";
  ASSERT_EQ(fathom("logits --tokens 10,20,30 -t 1 -o " + shell_word(last)).code, 0);
  ASSERT_EQ(fathom("logits --tokens 10,20,30 -t 1 --all -o " + shell_word(all)).code, 0);
  const auto one = test::read_floats(last), three = test::read_floats(all);
  ASSERT_EQ(one.size(), 4096u);
  ASSERT_EQ(three.size(), 3 * 4096u);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), three.begin() + 2 * 4096));
  EXPECT_EQ(fathom("logits --tokens 10,4096 -o " + shell_word(last)).code, 2);
}

TEST(Cli, TemplateRendersConversations) {
  const std::string conversation = write_text(
      "conversation.json",
      R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})");
  const Outcome own = fathom("template --input " + shell_word(conversation));
  EXPECT_EQ(own.code, 0) << own.err;
  EXPECT_EQ(own.out, "<|user|>Hi<|assistant|>");
  const std::string jinja = write_text(
      "t.jinja", "{{ bos_token }}{{ messages[0].content }} {{ strftime_now('%d %b %Y') }}");
  EXPECT_EQ(fathom("template " + shell_word(jinja) + " --input " + shell_word(conversation) +
                   " --var 'bos_token=<s>' --now 2024-07-26T12:00:00")
                .out,
            "<s>Hi 26 Jul 2024");
  const std::string raises = write_text("r.jinja", "{{ raise_exception('no such role') }}");
  const Outcome raised =
      fathom("template " + shell_word(raises) + " --input " + shell_word(conversation));
  EXPECT_NE(raised.code, 0);
  EXPECT_NE(raised.err.find("no such role"), std::string::npos) << raised.err;
}

TEST(Cli, SynthWritesModelsThatRun) {
  for (const char* type : {"q4_0", "q4_k", "q8_0", "f16", "bf16", "mxfp4"}) {
    const std::string model = temporary() / (std::string(type) + ".gguf");
    ASSERT_EQ(fathom("synth " + shell_word(model) + " --like tiny --type " + type + " -t 2").code,
              0)
        << type;
    const Outcome run = fathom("run " + shell_word(model) + " -p hello --raw -n 4 --json -t 2");
    ASSERT_EQ(run.code, 0) << type << run.err;
    EXPECT_EQ(run.parsed()["replies"][0]["price"]["generated_tokens"], 4) << type;
  }
  EXPECT_EQ(fathom("synth x.gguf --like gpt-5").code, 2);
  EXPECT_EQ(fathom("synth x.gguf --type q9").code, 2);
  // The same seed writes the same file, on any number of threads.
  const std::string a = temporary() / "a.gguf", b = temporary() / "b.gguf";
  fathom("synth " + shell_word(a) + " --like tiny --type q4_k -t 1");
  fathom("synth " + shell_word(b) + " --like tiny --type q4_k -t 3");
  EXPECT_EQ(test::read_file(a), test::read_file(b));
}

TEST(Cli, QuantizeConvertsMatrices) {
  const std::string model = shell_word(test::bundled_model());
  const std::string q8 = temporary() / "q8.gguf", back = temporary() / "back.gguf";
  const json j = fathom("quantize " + model + " " + shell_word(q8) + " q8_0 --json -t 2").parsed();
  EXPECT_GT(j["converted"].get<int>(), 20);
  EXPECT_LT(j["bytes"].get<double>(), 0.62 * j["bytes_before"].get<double>());
  EXPECT_EQ(fathom("demo --model " + shell_word(q8) + " --json -t 2").parsed()["right"], 5);
  // A format's own values come back as they are.
  fathom("quantize " + shell_word(q8) + " " + shell_word(back) + " q8_0 -t 1");
  EXPECT_TRUE(test::read_file(q8) == test::read_file(back));
  EXPECT_EQ(fathom("quantize " + model + " x.gguf q9").code, 2);
  EXPECT_EQ(fathom("quantize " + model + " " + model + " q8_0").code, 2);
}

// The same weights, multiplied in integers with quantised activations and in floats.
TEST(Cli, IntegerArithmeticCostsNoPerplexity) {
  const std::string text = write_text("prose.txt", fathom("demo --show-text").out);
  const auto perplexity = [&](const std::string& model) {
    return fathom("perplexity " + shell_word(model) + " -f " + shell_word(text) +
                  " --chunk 256 --kv store=f32 --json -t 2")
        .parsed()["perplexity"]
        .get<double>();
  };
  for (const std::string type : {"q8_0", "q4_0", "q4_k", "q6_k"}) {
    const std::string coded = temporary() / ("coded-" + type), floats = temporary() / "floats";
    fathom("quantize " + shell_word(test::bundled_model()) + " " + shell_word(coded) + " " + type);
    fathom("quantize " + shell_word(coded) + " " + shell_word(floats) + " f32");
    EXPECT_NEAR(perplexity(coded) / perplexity(floats), 1.0, 0.001) << type;
  }
}

TEST(Cli, PerplexityOfAText) {
  const std::string text = write_text("long.txt", fathom("demo --show-text").out);
  const json j = fathom("perplexity -f " + shell_word(text) + " --chunk 256 --json -t 2").parsed();
  EXPECT_GT(j["perplexity"].get<double>(), 1.0);
  EXPECT_LT(j["perplexity"].get<double>(), 200.0);
  EXPECT_EQ(j["scored_tokens"].get<int>(), j["chunks"].get<int>() * 127);
  EXPECT_EQ(fathom("perplexity -f " + shell_word(text) + " --chunk 100000").code, 2);
}

TEST(Cli, MethodsThatDoNotGoTogetherAreRefused) {
  const Outcome both = fathom("run -p hello -n 1 --kv 'keep=snapkv fetch=infllm'");
  EXPECT_EQ(both.code, 4);
  EXPECT_NE(both.err.find("evicted under an index"), std::string::npos);
}

TEST(Cli, EveryPrefillMethodReadsAPrompt) {
  const std::string text = write_text("long.txt", std::string(4000, 'a') + " The end.");
  for (const json& method : fathom("policies --json").parsed()) {
    if (method["stage"] != "prefill") continue;
    const std::string name = method["method"];
    const Outcome one = fathom("run --raw -n 2 -f " + shell_word(text) + " --kv prefill=" + name);
    EXPECT_EQ(one.code, 0) << name << ": " << one.err;
  }
}

// Every stage that runs on a model, on the demo's text: the methods with room for everything give
// the dense answers, and a small budget makes a small cache.
TEST(Cli, MethodsRunOnAModel) {
  const json dense = fathom("demo --json -t 2 --kv store=f32").parsed();
  for (const char* kv :
       {"prefill=xattention(threshold=1)", "prefill=minference", "prefill=a_shape(window=8192)",
        "keep=snapkv(budget=8192)", "keep=streaming(recent=8192)",
        "keep=adakv(scorer=snapkv,budget=8192)", "fetch=quest(budget=8192)", "fetch=lserve"}) {
    const Outcome run = fathom("demo --json -t 2 --kv 'store=f32 " + std::string(kv) + "'");
    ASSERT_EQ(run.code, 0) << kv << run.err;
    EXPECT_EQ(run.parsed()["right"], dense["right"]) << kv;
  }
  const json small = fathom("demo --json -t 2 --kv 'keep=snapkv(budget=256) store=k4v4'").parsed();
  EXPECT_LT(small["kv_bytes"].get<double>(), 0.25 * dense["kv_bytes"].get<double>());
}

TEST(Cli, PoliciesAreListed) {
  EXPECT_NE(fathom("policies").out.find("store"), std::string::npos);
  EXPECT_EQ(fathom("policies f16 --json").parsed().size(), 1u);
  const Outcome unknown = fathom("policies bf61");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean 'bf16'?"), std::string::npos);
}

}  // namespace
}  // namespace fathom
