// fathom chat: a conversation in the terminal, its history kept in the cache.
#include <iostream>
#include <memory>
#include <optional>

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

constexpr const char* kHelp =
    "/file PATH   read a document; later questions can be about it\n"
    "/stats       what the conversation costs\n"
    "/reset       begin again\n"
    "/help        this\n"
    "/quit        end (also Ctrl-D)\n"
    "Ctrl-C stops a reply. A line that ends in \\ goes on in the next one.\n";

struct ChatArgs {
  ModelArgs model;
  GenerateArgs generate;
  std::string system;
  std::vector<std::string> files;
  bool json = false, explain = false;
};

class ChatCommand {
 public:
  explicit ChatCommand(const ChatArgs& args) : args_(args), generate_(args.generate.get()) {}

  int run() {
    ModelOptions options = args_.model.options();
    options.progress = std::ref(progress_);
    options.explain = args_.explain;
    options.reply_tokens = generate_.max_tokens;
    engine_ = engine::Engine::load(args_.model.path(), options);
    if (!engine_->chat_template()) {
      throw with_hint(unsupported(args_.model.path(), "the model has no chat template"),
                      "fathom run --raw continues plain text");
    }
    begin();
    if (!args_.json && stdin_is_terminal()) {
      fmt::print(stderr, "{}, context {} tokens. /help lists commands.\n", title(),
                 grouped(engine_->context()));
    }
    for (const std::string& file : args_.files) guarded([&] { read(file); });
    while (const std::optional<std::string> line = next_line()) {
      if (*line == "/quit" || *line == "/exit") break;
      if (!line->empty()) guarded([&] { obey(*line); });
    }
    return 0;
  }

 private:
  std::string title() const {
    const std::string& name = engine_->model().config().name;
    return printable(name.empty() ? engine_->checkpoint().path() : name);
  }

  void begin() {
    session_.emplace(engine_);
    if (!args_.system.empty()) session_->set_system(args_.system);
  }

  // A conversation survives a bad command: the error is shown and the next line asked for.
  template <class Fn>
  void guarded(Fn fn) {
    try {
      fn();
    } catch (const Error& error) {
      progress_.clear();
      if (args_.json) {
        print_json_line({{"error", error.what()}, {"hint", error.hint()}});
        return;
      }
      fmt::print(stderr, "error: {}\n", printable(error.what()));
      if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", printable(error.hint()));
    }
  }

  std::optional<std::string> next_line() {
    std::string all;
    for (const char* prompt = "> ";; prompt = ". ") {
      if (stdin_is_terminal() && !args_.json) fmt::print(stderr, "{}", prompt);
      std::string line;
      clear_interrupt();
      if (!std::getline(std::cin, line)) {
        if (interrupted()) {  // Ctrl-C at the prompt: a fresh line
          std::cin.clear();
          fmt::print(stderr, "\n");
          return "";
        }
        if (all.empty()) return std::nullopt;
        return all;
      }
      if (line.empty() || line.back() != '\\') return all + line;
      line.back() = '\n';
      all += line;
    }
  }

  void obey(const std::string& line) {
    if (line[0] != '/') return say(line);
    const size_t space = line.find(' ');
    const std::string command = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (command == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (command == "/file") {
      read(rest);
    } else if (command == "/stats") {
      show_stats();
    } else if (command == "/reset") {
      begin();
    } else {
      throw with_hint(usage_error(command, "is not a command"), "/help lists them");
    }
  }

  void read(const std::string& path) {
    if (path.empty()) throw usage_error("/file", "needs the path of a text file");
    const std::string text = engine::read_text_file(path);
    const size_t before = session_->tokens().size();
    const Session backup = session_->fork();
    session_->feed_text(text, std::ref(progress_));
    progress_.clear();
    if (interrupted()) {
      session_ = backup.fork();
      fmt::print(stderr, "[stopped; nothing of {} was kept]\n", path);
      return;
    }
    fmt::print(stderr, "[read {}: {} tokens]\n", path, grouped(session_->tokens().size() - before));
  }

  void say(const std::string& text) {
    const Reply reply = session_->ask(text, generate_, [&](std::string_view piece) {
      if (!args_.json) print_now(piece);
      return !interrupted();
    });
    last_ = reply.price;
    if (args_.json) {
      Json line = {{"question", text},
                   {"text", reply.text},
                   {"stop", reason_name(reply.reason)},
                   {"price", price_json(reply.price)}};
      if (reply.account) line["account"] = account_json(*reply.account);
      print_json_line(line);
      return;
    }
    print_now("\n");
    if (reply.account) fmt::print(stderr, "{}", account_text(*reply.account));
    if (reply.reason == StopReason::kInterrupted) fmt::print(stderr, "[stopped]\n");
    if (reply.reason == StopReason::kContextFull) {
      fmt::print(stderr, "[the context of {} tokens is full; /reset begins again]\n",
                 grouped(engine_->context()));
    }
  }

  void show_stats() const {
    fmt::print(stderr, "model    {}, {} of weights\n", title(),
               human_bytes(double(engine_->model().weights().bytes())));
    fmt::print(stderr, "context  {} of {} tokens, cache {}\n", grouped(session_->tokens().size()),
               grouped(engine_->context()),
               human_bytes(double(engine_->runner().pages().stats().used_bytes)));
    fmt::print(stderr, "policy   {}\n", engine_->runner().policy().line);
    if (last_) fmt::print(stderr, "last     {}\n", price_line(*last_));
  }

  static void print_json_line(const Json& json) {
    print_now(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  const ChatArgs& args_;
  GenerateOptions generate_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  std::optional<Session> session_;
  std::optional<Price> last_;
};

}  // namespace

Runner add_chat(CLI::App& app) {
  auto args = std::make_shared<ChatArgs>();
  CLI::App* c = app.add_subcommand("chat", "Talk to a model in the terminal");
  args->model.add_to(*c);
  c->add_option("--system,--sys", args->system, "The system message");
  c->add_option("-f,--file", args->files, "Read this file first; repeatable");
  args->generate.add_to(*c, 0.8f);
  c->add_flag("--json", args->json, "One JSON object a reply, one line each");
  add_explain(*c, args->explain);
  c->footer(kHelp);
  return [args] { return ChatCommand(*args).run(); };
}

}  // namespace fathom::cli
