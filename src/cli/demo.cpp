// fathom demo: a long text with facts hidden in it, and questions about them.
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/session.h"
#include "eval/haystack.h"

namespace fathom::cli {
namespace {

using engine::Session;

struct DemoArgs {
  ModelArgs model;
  eval::HaystackOptions text;
  bool json = false, show_text = false, explain = false;
};

class DemoCommand {
 public:
  explicit DemoCommand(const DemoArgs& args) : args_(args) {}

  int run() {
    const eval::Haystack haystack = eval::make_haystack(args_.text);
    if (args_.show_text) {
      print_now(haystack.text);
      return 0;
    }
    ModelOptions options = args_.model.options();
    options.progress = std::ref(progress_);
    options.explain = args_.explain;
    engine_ = engine::Engine::load(args_.model.path(), options);
    std::vector<std::vector<engine::TokenId>> prompts;
    for (const eval::Fact& fact : haystack.facts) {
      prompts.push_back(engine::encode_conversation(
          *engine_, engine::question_messages(*engine_, haystack.text, fact.question())));
    }
    const size_t shared = engine::common_prefix(prompts);
    introduce(haystack, shared);
    Session session(engine_);
    const auto start = std::chrono::steady_clock::now();
    if (!session.feed(std::span(prompts[0]).first(shared), std::ref(progress_))) return 130;
    const std::chrono::duration<double> read = std::chrono::steady_clock::now() - start;
    for (size_t i = 0; i < prompts.size() && !interrupted(); ++i) {
      ask(session, haystack.facts[i], std::span(prompts[i]).subspan(shared));
    }
    finish(shared, read.count());
    return interrupted() ? 130 : 0;
  }

 private:
  void introduce(const eval::Haystack& haystack, size_t tokens) const {
    if (args_.json) return;
    print_now(
        fmt::format("{} reads {} tokens of prose with {} facts hidden in it, once, and answers "
                    "each question on "
                    "a fork of the same cache. The text begins:\n\n  {}...\n\n",
                    printable(engine_->model().config().name), grouped(tokens),
                    haystack.facts.size(), haystack.text.substr(0, haystack.text.find(". ") + 1)));
  }

  void ask(const Session& shared, const eval::Fact& fact, std::span<const engine::TokenId> tokens) {
    Session session = shared.fork();
    if (!args_.json) print_now("> " + fact.question() + "\n  ");
    session.feed(tokens);
    GenerateOptions options;
    options.max_tokens = 48;
    const Reply reply = session.generate(options, [&](std::string_view text) {
      if (!args_.json) print_now(text);
      return !interrupted();
    });
    const bool right = reply.text.find(fact.value) != std::string::npos;
    right_ += right;
    if (!args_.json)
      print_now(right ? "   (right)\n\n" : fmt::format("   (the text says {})\n\n", fact.value));
    replies_.push_back({{"question", fact.question()},
                        {"answer", reply.text},
                        {"expected", fact.value},
                        {"right", right},
                        {"price", price_json(reply.price)}});
    if (reply.account) {
      replies_.back()["account"] = account_json(*reply.account);
      if (!args_.json) fmt::print(stderr, "{}\n", account_text(*reply.account));
    }
    total_.prompt_tokens += reply.price.prompt_tokens;
    total_.prompt_seconds += reply.price.prompt_seconds;
    total_.time_to_first_token += reply.price.time_to_first_token;
    total_.generated_tokens +=
        reply.price.generated_tokens > 0 ? reply.price.generated_tokens - 1 : 0;
    total_.generate_seconds += reply.price.generate_seconds;
    total_.kv_bytes = std::max(total_.kv_bytes, reply.price.kv_bytes);
  }

  void finish(size_t tokens, double seconds) const {
    const size_t questions = std::max<size_t>(1, replies_.size());
    const double decode =
        total_.generate_seconds > 0 ? double(total_.generated_tokens) / total_.generate_seconds : 0;
    const double first = total_.time_to_first_token / double(questions);
    if (args_.json) {
      print_json({{"model", engine_->checkpoint().path()},
                  {"kv", engine_->runner().policy().line},
                  {"right", right_},
                  {"questions", replies_.size()},
                  {"document_tokens", tokens},
                  {"document_seconds", seconds},
                  {"prefill_tokens_per_second", double(tokens) / seconds},
                  {"time_to_first_token_seconds", first},
                  {"decode_tokens_per_second", decode},
                  {"kv_bytes", total_.kv_bytes},
                  {"peak_memory_bytes", peak_memory()},
                  {"replies", replies_}});
      return;
    }
    std::string out =
        fmt::format("right answers                 {} of {}\n", right_, replies_.size());
    out += fmt::format("reading the text (prefill)    {} tokens in {:.2f} s, {:.0f} tok/s\n",
                       grouped(tokens), seconds, double(tokens) / seconds);
    out += fmt::format("time to first token           {:.0f} ms a question, the text being read\n",
                       1000 * first);
    out += fmt::format("writing (decode)              {:.0f} tok/s\n", decode);
    out += fmt::format("cache                         {} ({})\n",
                       human_bytes(double(total_.kv_bytes)), engine_->runner().policy().line);
    out += fmt::format("most memory                   {}\n", human_bytes(double(peak_memory())));
    print_now(out);
  }

  const DemoArgs& args_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  Json replies_ = Json::array();
  Price total_;
  size_t right_ = 0;
};

}  // namespace

Runner add_demo(CLI::App& app) {
  auto args = std::make_shared<DemoArgs>();
  CLI::App* c = app.add_subcommand("demo", "See it work: a long text, hidden facts, questions");
  args->model.add_to(*c);
  c->add_option("--characters", args->text.characters, "Length of the text")->capture_default_str();
  c->add_option("--facts", args->text.facts, "Facts to hide and ask for")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  c->add_option("-s,--seed", args->text.seed, "Another seed, another text")->capture_default_str();
  c->add_flag("--show-text", args->show_text, "Print the text and stop");
  c->add_flag("--json", args->json, "Print JSON");
  add_explain(*c, args->explain);
  c->footer(
      "The bundled model was trained for 4,096 tokens, about 15,000 characters, and has 3.4\n"
      "million parameters: it is an instrument, and it errs.");
  return [args] { return DemoCommand(*args).run(); };
}

}  // namespace fathom::cli
