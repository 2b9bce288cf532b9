// fathom synth: a model of a published shape with random weights.
#include <memory>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "model/synth.h"

#include <filesystem>

namespace fathom::cli {
namespace {

struct SynthArgs {
  std::string output, like = "llama-3.2-1b", type = "q4_0", vocab;
  uint64_t seed = 1;
  int threads = 0;
  bool json = false;
};

std::string known_shapes() {
  std::string out;
  for (const auto& s : model::synth_shapes())
    out += (out.empty() ? "" : ", ") + std::string(s.name);
  return out;
}
std::string known_types() {
  std::string out;
  for (const auto& t : all_tensor_types()) out += (out.empty() ? "" : ", ") + std::string(t.name);
  return out;
}

int synthesize(const SynthArgs& args) {
  const model::SynthShape* shape = model::find_synth_shape(args.like);
  if (!shape) {
    throw with_hint(usage_error("--like", "'{}' is not a shape", args.like),
                    "known: " + known_shapes());
  }
  const TensorTypeInfo* type = find_tensor_type(args.type);
  if (!type) {
    throw with_hint(usage_error("--type", "'{}' is not a number format", args.type),
                    "known: " + known_types());
  }
  std::optional<file::Checkpoint> vocab;
  if (!args.vocab.empty()) vocab = file::Checkpoint::open(args.vocab);
  model::SynthOptions options;
  options.type = type->type;
  options.seed = args.seed;
  options.vocab = vocab ? &*vocab : nullptr;
  ThreadPool pool(args.threads > 0 ? args.threads : usable_cores());
  ProgressLine progress;
  model::write_synthetic_model(args.output, *shape, options, pool, std::ref(progress));
  const size_t bytes = std::filesystem::file_size(args.output);
  if (args.json) {
    print_json({{"file", args.output},
                {"like", args.like},
                {"type", std::string(type->name)},
                {"bytes", bytes}});
  } else {
    fmt::print(stderr, "wrote {}: {} in {}, {}\n", args.output, args.like, type->name,
               human_bytes(double(bytes)));
  }
  return 0;
}

}  // namespace

Runner add_synth(CLI::App& app) {
  auto args = std::make_shared<SynthArgs>();
  CLI::App* c = app.add_subcommand("synth", "Write a random-weight model of a published shape");
  c->add_option("OUT", args->output, "The GGUF file to write")->required();
  c->add_option("--like", args->like, "Shape: " + known_shapes())->capture_default_str();
  c->add_option("--type", args->type, "Number format of the matrices")->capture_default_str();
  c->add_option("--vocab", args->vocab, "Take the vocabulary of this model (default: bytes only)");
  c->add_option("-s,--seed", args->seed, "Seed of the weights")->capture_default_str();
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print what was written as JSON");
  c->footer(
      "The words such a model writes mean nothing; its speed is that of the real one.\n"
      "Example:\n  fathom synth 1b.gguf --like llama-3.2-1b --type q4_k\n  fathom run 1b.gguf "
      "-f book.txt --raw -n 32");
  return [args] { return synthesize(*args); };
}

}  // namespace fathom::cli
