// fathom quantize: a model's matrices in another number format.
#include <filesystem>
#include <memory>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "model/quantize.h"

namespace fathom::cli {
namespace {

struct QuantizeArgs {
  std::string input, output, type;
  int threads = 0;
  bool json = false;
};

std::string known_types() {
  std::string out;
  for (const auto& t : all_tensor_types()) out += (out.empty() ? "" : ", ") + std::string(t.name);
  return out;
}

int quantize(const QuantizeArgs& args) {
  const TensorTypeInfo* type = find_tensor_type(args.type);
  if (!type) {
    throw with_hint(usage_error("TYPE", "'{}' is not a number format", args.type),
                    "known: " + known_types());
  }
  std::error_code none;
  if (std::filesystem::equivalent(args.input, args.output, none)) {
    throw usage_error("OUT", "is the file that is read; name another");
  }
  const auto from = file::Checkpoint::open(args.input);
  ThreadPool pool(args.threads > 0 ? args.threads : usable_cores());
  ProgressLine progress;
  const auto result =
      model::quantize_model(from, args.output, type->type, pool, std::ref(progress));
  progress.clear();
  const size_t bytes = std::filesystem::file_size(args.output);
  if (args.json) {
    print_json({{"file", args.output},
                {"type", std::string(type->name)},
                {"bytes", bytes},
                {"bytes_before", from.file_bytes()},
                {"converted", result.converted},
                {"kept", result.kept}});
  } else {
    fmt::print(stderr, "wrote {}: {} ({} before), {} matrices in {}, {} tensors as they were\n",
               args.output, human_bytes(double(bytes)), human_bytes(double(from.file_bytes())),
               result.converted, type->name, result.kept);
  }
  return 0;
}

}  // namespace

Runner add_quantize(CLI::App& app) {
  auto args = std::make_shared<QuantizeArgs>();
  CLI::App* c = app.add_subcommand("quantize", "Write a model's matrices in another number format");
  c->add_option("IN", args->input, "The GGUF file to read")->required();
  c->add_option("OUT", args->output, "The GGUF file to write")->required();
  c->add_option("TYPE", args->type, "Number format of the matrices: " + known_types())->required();
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print what was written as JSON");
  c->footer(
      "Codes are chosen without an importance matrix. From a quantised file, f32 keeps every "
      "value\n"
      "as it is, which shows what arithmetic in integers costs.\n"
      "Example:\n  fathom quantize model-f16.gguf model-q4_k.gguf q4_k\n"
      "  fathom perplexity model-q4_k.gguf -f book.txt");
  return [args] { return quantize(*args); };
}

}  // namespace fathom::cli
