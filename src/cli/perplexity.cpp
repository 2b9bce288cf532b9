// fathom perplexity: how well a model predicts a text.
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/text_file.h"
#include "eval/perplexity.h"

namespace fathom::cli {
namespace {

struct PerplexityArgs {
  ModelArgs model;
  std::string file;
  size_t chunk = 2048, characters = 0;
  bool json = false;
};

// The first n bytes, not cutting a character.
std::string beginning(std::string text, size_t n) {
  if (n == 0 || text.size() <= n) return text;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) --n;
  text.resize(n);
  return text;
}

int measure(const PerplexityArgs& args) {
  ModelOptions options = args.model.options();
  ProgressLine progress;
  options.progress = std::ref(progress);
  const std::string text = beginning(engine::read_text_file(args.file), args.characters);
  const auto engine = engine::Engine::load(args.model.path(), options);
  const auto tokens = engine->tokenizer().encode(text);
  const eval::Perplexity p = eval::perplexity(*engine, tokens, args.chunk, std::ref(progress));
  progress.clear();
  if (args.json) {
    print_json({{"perplexity", p.value},
                {"standard_error", p.standard_error},
                {"scored_tokens", p.scored},
                {"chunks", p.chunks},
                {"chunk_tokens", args.chunk},
                {"bytes", text.size()},
                {"tokens", tokens.size()},
                {"kv", engine->runner().policy().line}});
  } else {
    print_now(fmt::format("perplexity {:.4f} +- {:.4f} over {} tokens in {} chunks of {}\n",
                          p.value, p.standard_error, grouped(p.scored), p.chunks, args.chunk));
  }
  return interrupted() ? 130 : 0;
}

}  // namespace

Runner add_perplexity(CLI::App& app) {
  auto args = std::make_shared<PerplexityArgs>();
  CLI::App* c = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  args->model.add_to(*c);
  c->add_option("-f,--file", args->file, "The text; - is standard input")->required();
  c->add_option("--chunk", args->chunk, "Tokens of a chunk; its second half is scored")
      ->capture_default_str();
  c->add_option("--characters", args->characters, "Only the first N bytes; 0: all")
      ->capture_default_str();
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "Cut and scored as llama-perplexity does, so figures compare.\n"
      "Example:\n  fathom perplexity -f book.txt --characters 50000");
  return [args] { return measure(*args); };
}

}  // namespace fathom::cli
