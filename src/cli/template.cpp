// fathom template: renders a chat template, of a model or a file, on a conversation.
#include <ctime>
#include <filesystem>
#include <iomanip>
#include <memory>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/load_vocab.h"
#include "engine/text_file.h"
#include "file/checkpoint.h"
#include "text/chat_template.h"

namespace fathom::cli {
namespace {

struct TemplateArgs {
  std::string source, input, now;
  std::vector<std::string> variables;
  bool json = false;
};

using TemplateJson = text::ChatTemplate::Json;

std::tm parse_time(const std::string& text) {
  std::tm time{};
  std::istringstream in(text);
  in >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
  if (in.fail() || in.peek() != std::istringstream::traits_type::eof()) {
    throw with_hint(usage_error("--now", "'{}' is not a time", text),
                    "for example 2024-07-26T12:00:00");
  }
  time.tm_isdst = -1;
  std::tm normal = time;
  if (timegm(&normal) != -1) {  // fills in the day of the week and of the year
    time.tm_wday = normal.tm_wday;
    time.tm_yday = normal.tm_yday;
  }
  return time;
}

TemplateJson parse_conversation(const std::string& path) {
  constexpr int kDeepest = 200;
  const auto not_too_deep = [&](int depth, TemplateJson::parse_event_t, TemplateJson&) {
    if (depth > kDeepest) throw bad_file(path, "nests JSON deeper than {} levels", kDeepest);
    return true;
  };
  TemplateJson json = TemplateJson::parse(engine::read_text_file(path), not_too_deep, false);
  if (json.is_discarded()) throw bad_file(path, "is not JSON");
  if (json.is_array()) json = {{"messages", json}};
  if (!json.is_object() || !json.contains("messages")) {
    throw with_hint(
        bad_file(path, "has no \"messages\""),
        "give {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}]}, with \"tools\", "
        "\"add_generation_prompt\" and any other variable beside it");
  }
  return json;
}

// The template's text, and into `variables` the model's own tokens.
std::string load_source(const std::string& source, TemplateJson& variables) {
  const bool is_template = std::filesystem::path(source).extension() == ".jinja";
  if (is_template) return engine::read_text_file(source);
  const auto checkpoint = file::Checkpoint::open(model_path(source));
  const text::VocabData vocab = engine::load_vocab(checkpoint.metadata());
  const auto set = [&](const char* name, const std::optional<text::TokenId>& id) {
    if (id && static_cast<size_t>(*id) < vocab.tokens.size() && !variables.contains(name)) {
      variables[name] = vocab.tokens[static_cast<size_t>(*id)];
    }
  };
  set("bos_token", vocab.bos);
  set("eos_token", vocab.eos);
  const std::string text = checkpoint.metadata().text("tokenizer.chat_template", "");
  if (text.empty()) throw unsupported(checkpoint.path(), "the model has no chat template");
  return text;
}

int render(const TemplateArgs& args) {
  TemplateJson variables = parse_conversation(args.input);
  for (const std::string& pair : args.variables) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      throw with_hint(usage_error("--var", "'{}' has no '='", pair), "say --var bos_token=<s>");
    }
    variables[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  const std::string source = load_source(args.source, variables);
  std::optional<std::tm> now;
  if (!args.now.empty()) now = parse_time(args.now);
  const std::string text = text::ChatTemplate(source).render(variables, now);
  if (args.json) {
    print_json({{"text", text}});
  } else {
    print_now(text);
  }
  return 0;
}

}  // namespace

Runner add_template(CLI::App& app) {
  auto args = std::make_shared<TemplateArgs>();
  CLI::App* c = app.add_subcommand("template", "Render a chat template on a conversation");
  c->add_option("SOURCE", args->source, "A model, or a FILE.jinja (default: the bundled model)");
  c->add_option("--input", args->input,
                "JSON file with messages, tools, add_generation_prompt and other variables; - is "
                "standard input")
      ->required();
  c->add_option("--var", args->variables, "Set a variable: NAME=TEXT; repeatable");
  c->add_option("--now", args->now, "The time strftime_now shows, e.g. 2024-07-26T12:00:00");
  c->add_flag("--json", args->json, "Print {\"text\": ...}");
  c->footer(
      "Example:\n  fathom template model.gguf --input conversation.json --var bos_token=\"<s>\"");
  return [args] { return render(*args); };
}

}  // namespace fathom::cli
