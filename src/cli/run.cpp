// fathom run: reads a document once and answers each question on a fork of the same cache.
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/session.h"
#include "engine/text_file.h"

namespace fathom::cli {
namespace {

using engine::Session;
using engine::TokenId;

struct RunArgs {
  ModelArgs model;
  GenerateArgs generate;
  std::vector<std::string> prompts, files, questions;
  bool raw = false;
  bool explain = false;
  bool json = false;
  bool quiet = false;
};

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

// What is to be read: the files, or standard input where nothing else was named.
std::string read_document(const RunArgs& args) {
  std::vector<std::string> files = args.files;
  if (files.empty() && args.prompts.empty()) {
    if (stdin_is_terminal()) {
      throw with_hint(usage_error("fathom run", "there is nothing to read"),
                      "give -p TEXT, -f FILE, or text on standard input; see fathom run --help");
    }
    files = {"-"};
  }
  std::vector<std::string> texts;
  for (const std::string& file : files) texts.push_back(engine::read_text_file(file));
  return joined(texts, "\n");
}

// The tokens of each prompt: one a question, or one of everything.
std::vector<std::vector<TokenId>> make_prompts(const engine::Engine& engine, const RunArgs& args,
                                               std::string document) {
  const std::string prompt = joined(args.prompts, "\n");
  std::vector<std::string> questions = args.questions;
  std::vector<std::vector<TokenId>> out;
  if (args.raw || !engine.chat_template()) {
    if (questions.empty()) questions = {""};
    for (const std::string& q : questions) {
      out.push_back(engine.tokenizer().encode(document + prompt + q));
    }
    return out;
  }
  if (questions.empty()) {
    questions = {prompt};
  } else if (!prompt.empty()) {
    document = document.empty() ? prompt : prompt + "\n\n" + document;
  }
  for (const std::string& q : questions) {
    const auto messages = q.empty() ? std::vector<engine::Message>{{"user", document}}
                                    : engine::question_messages(engine, document, q);
    out.push_back(engine::encode_conversation(engine, messages));
  }
  return out;
}

void require_fit(const engine::Engine& engine, const std::vector<std::vector<TokenId>>& prompts) {
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  if (longest == 0) throw usage_error("prompt", "there is no text in it");
  if (longest <= engine.context()) return;
  throw with_hint(
      Error(ErrorCode::kTooLong, "prompt",
            fmt::format("{} tokens do not fit into the context of {}", grouped(longest),
                        grouped(engine.context()))),
      fmt::format("ask for more with --ctx {} (the model was trained for {}), or give less text; "
                  "nothing is ever cut silently",
                  longest + 512, grouped(engine.model().config().trained_context)));
}

class RunCommand {
 public:
  explicit RunCommand(const RunArgs& args) : args_(args), generate_(args.generate.get()) {}

  int run() {
    const std::string document = read_document(args_);
    ModelOptions options = args_.model.options();
    options.progress = std::ref(progress_);
    options.explain = args_.explain;
    options.reply_tokens = generate_.max_tokens;
    engine_ = engine::Engine::load(args_.model.path(), options);
    const auto prompts = make_prompts(*engine_, args_, document);
    require_fit(*engine_, prompts);
    Session session(engine_);
    const size_t shared = prompts.size() > 1 ? engine::shared_prefix(*engine_, prompts) : 0;
    if (!read_shared(session, std::span(prompts[0]).first(shared))) return 130;
    Json replies = Json::array();
    for (size_t i = 0; i < prompts.size() && !interrupted(); ++i) {
      replies.push_back(answer(session, i, std::span(prompts[i]).subspan(shared)));
    }
    if (args_.json) print_json(report(std::move(replies)));
    return interrupted() ? 130 : 0;
  }

 private:
  bool read_shared(Session& session, std::span<const TokenId> tokens) {
    if (tokens.empty()) return true;
    const auto start = std::chrono::steady_clock::now();
    const bool complete = session.feed(tokens, std::ref(progress_));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    document_ = {{"tokens", tokens.size()}, {"seconds", took.count()}};
    if (!args_.json && !args_.quiet) {
      fmt::print(stderr, "[read {} tokens once in {:.2f} s ({:.0f} tok/s)]\n\n",
                 grouped(tokens.size()), took.count(), double(tokens.size()) / took.count());
    }
    return complete;
  }

  Json answer(const Session& shared, size_t index, std::span<const TokenId> tokens) {
    Session session = shared.fork();
    const bool asked = index < args_.questions.size();
    if (!args_.json && args_.questions.size() > 1) print_now("> " + args_.questions[index] + "\n");
    Json out;
    if (asked) out["question"] = args_.questions[index];
    if (!session.feed(tokens, std::ref(progress_))) return out;
    const Reply reply = session.generate(generate_, [&](std::string_view text) {
      if (!args_.json) print_now(text);
      return !interrupted();
    });
    out["text"] = reply.text;
    out["stop"] = reason_name(reply.reason);
    out["price"] = price_json(reply.price);
    if (reply.account) out["account"] = account_json(*reply.account);
    if (!args_.json) {
      print_now("\n");
      if (!args_.quiet) fmt::print(stderr, "[{}]\n", price_line(reply.price));
      if (reply.account) fmt::print(stderr, "{}", account_text(*reply.account));
      if (args_.questions.size() > 1) print_now("\n");
    }
    return out;
  }

  Json report(Json replies) {
    Json out = {{"model", engine_->checkpoint().path()},
                {"architecture", engine_->model().config().architecture},
                {"kv", engine_->runner().policy().line},
                {"context", engine_->context()},
                {"threads", engine_->runner().threads().size()},
                {"instruction_set", std::string(engine_->runner().kernels().name)},
                {"load_seconds", engine_->load_seconds()},
                {"weight_bytes", engine_->model().weights().bytes()},
                {"peak_memory_bytes", peak_memory()}};
    if (!document_.is_null()) out["document"] = document_;
    out["replies"] = std::move(replies);
    return out;
  }

  const RunArgs& args_;
  GenerateOptions generate_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  Json document_;
};

}  // namespace

Runner add_run(CLI::App& app) {
  auto args = std::make_shared<RunArgs>();
  CLI::App* c = app.add_subcommand("run", "Read a text once and answer questions about it");
  args->model.add_to(*c);
  c->add_option("-p,--prompt", args->prompts,
                "What to say to the model; with -q it stands before the document");
  c->add_option("-f,--file", args->files, "Read this file; - is standard input; repeatable");
  c->add_option("-q,--question", args->questions,
                "Ask this about the text; repeatable, each on a fork of the same cache");
  c->add_flag("--raw", args->raw, "Continue the text as it is, without the chat template");
  args->generate.add_to(*c, 0.0f);
  c->add_flag("--json", args->json, "Print one JSON object with answers and prices");
  c->add_flag("--quiet", args->quiet, "Do not print what answers cost");
  add_explain(*c, args->explain);
  c->footer(
      "Examples:\n"
      "  fathom run -f report.txt -q \"What failed?\" -q \"Who noticed?\"\n"
      "  git log | fathom run model.gguf -q \"What changed most?\"\n"
      "  fathom run -f book.txt -q \"Who is he?\" --kv \"keep=snapkv(budget=1024)\" --explain\n"
      "  fathom run model.gguf -p \"Once upon a time\" --raw -n 100 --temp 0.8");
  return [args] { return RunCommand(*args).run(); };
}

}  // namespace fathom::cli
