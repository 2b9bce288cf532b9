// The program as a user meets it: run as a process, judged by what it prints and how it exits.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "support/shared_data.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Outcome {
  int code = 0;
  std::string out, err;
  json parsed() const {
    const json value = json::parse(out, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << out << err;
    return value;
  }
};

fs::path temporary() {
  static const fs::path folder = [] {
    std::string name = fs::temp_directory_path() / "fathom-cli-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return fs::path(name);
  }();
  return folder;
}

std::string shell_word(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

// `input` goes to standard input.
Outcome fathom(const std::string& arguments, const std::string& input = "") {
  const fs::path err = temporary() / "stderr", in = temporary() / "stdin";
  std::ofstream(in, std::ios::binary) << input;
  const std::string command = "FATHOM_MODEL=" + shell_word(test::bundled_model()) + " " +
                              shell_word(FATHOM_PROGRAM) + " " + arguments + " < " +
                              shell_word(in) + " 2> " + shell_word(err);
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.out.append(buffer, n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.err = test::read_file(err);
  return outcome;
}

std::string write_text(const std::string& name, const std::string& text) {
  const fs::path path = temporary() / name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

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
      "recommend --memory 22MiB --length 2k --minutes 0.01 --windows 2 -t 2 --loss 5%";
  const Outcome dry = fathom(search + " --dry-run");
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_NE(dry.out.find("<- chosen"), std::string::npos) << dry.out;
  EXPECT_EQ(fathom("run -p x -n 1 --kv auto").code, 2) << "a dry run keeps nothing";
  const Outcome found = fathom(search + " --json");
  ASSERT_EQ(found.code, 0) << found.err;
  const json j = found.parsed();
  EXPECT_GE(j["evidence"].size(), 5u);
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
