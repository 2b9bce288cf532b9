// fathom logits: the model's raw output for given tokens; for researchers and tests.
#include <charconv>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "file/atomic_file.h"

namespace fathom::cli {
namespace {

using engine::Outputs;
using engine::TokenId;

struct LogitsArgs {
  ModelArgs model;
  std::vector<TokenId> tokens;
  std::string output;
  bool all = false, json = false;
};

// Logits held at once; longer prompts are written part by part.
constexpr size_t kMaxLogits = size_t{16} << 20;

int write_logits(const LogitsArgs& args) {
  ModelOptions options = args.model.options();
  ProgressLine progress;
  options.progress = std::ref(progress);
  const auto engine = engine::Engine::load(args.model.path(), options);
  engine::Runner& runner = engine->runner();
  if (runner.policy().filter) {
    throw with_hint(
        unsupported("--kv", "'{}' chooses tokens of a prompt; the others have no logits",
                    runner.policy().line),
        "name another prefill method; fathom run reads a prompt with this one");
  }
  const size_t vocab = runner.config().vocab;
  kv::SequenceCache cache = runner.new_cache();
  file::AtomicFile out(args.output);
  const size_t step =
      std::max<size_t>(1, std::min(runner.options().batch_tokens, kMaxLogits / vocab));
  size_t rows = 0;
  for (size_t at = 0; at < args.tokens.size();) {
    const size_t n =
        std::min(args.all ? step : runner.options().batch_tokens, args.tokens.size() - at);
    const bool last = at + n == args.tokens.size();
    const engine::StepPart part{&cache, std::span(args.tokens).subspan(at, n),
                                args.all ? Outputs::kAll
                                : last   ? Outputs::kLast
                                         : Outputs::kNone};
    const std::span<const float> logits = runner.step({&part, 1});
    out.write(std::as_bytes(logits));
    rows += logits.size() / vocab;
    at += n;
    if (!progress({"reading", at, args.tokens.size(), "tokens"})) return 130;
  }
  out.commit();
  if (args.json) {
    print_json({{"file", args.output}, {"type", "f32"}, {"shape", {rows, vocab}}});
  } else {
    fmt::print(stderr, "wrote {}: f32 [{}, {}]\n", args.output, rows, vocab);
  }
  return 0;
}

}  // namespace

Runner add_logits(CLI::App& app) {
  auto args = std::make_shared<LogitsArgs>();
  CLI::App* c = app.add_subcommand("logits", "Write a model's logits for given tokens");
  args->model.add_to(*c);
  c->add_option("--tokens", args->tokens, "Token ids, separated by commas")
      ->delimiter(',')
      ->required();
  c->add_flag("--all", args->all, "Of every position, not only the last");
  c->add_option("-o,--output", args->output, "Raw f32, [positions, vocabulary]")->required();
  c->add_flag("--json", args->json, "Print where and what was written as JSON");
  c->footer(
      "Example:\n  fathom logits model.gguf --tokens 1,15043,3186 --all -o logits.f32 --kv "
      "store=f32");
  return [args] { return write_logits(*args); };
}

}  // namespace fathom::cli
