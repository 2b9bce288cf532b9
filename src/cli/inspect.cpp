// fathom inspect: what a model file holds, and what running it would take.
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "file/atomic_file.h"
#include "file/checkpoint.h"
#include "kernel/block_formats.h"
#include "kernel/kernels.h"
#include "model/family.h"

namespace fathom::cli {
namespace {

struct InspectArgs {
  std::string model, tensor, output, kv;
  size_t context = 0;
  bool json = false, tensors = false;
};

constexpr size_t kShownElements = 6;
constexpr size_t kShownBytes = 200;

Json value_json(const file::Value& value, size_t most) {
  return std::visit(
      [most](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, file::Strings> || std::is_same_v<T, file::Integers> ||
                      std::is_same_v<T, file::Floats>) {
          if (v.size() <= most) return Json(v);
          Json out = {{"length", v.size()}};
          out["first"] = Json(T(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(most)));
          return out;
        } else {
          return Json(v);
        }
      },
      value);
}

std::string shortened(std::string text) {
  if (text.size() <= kShownBytes) return text;
  return text.substr(0, kShownBytes) + fmt::format("... ({} bytes)", text.size());
}

int write_tensor(const file::Checkpoint& checkpoint, const InspectArgs& args) {
  if (args.output.empty()) {
    throw with_hint(usage_error("--tensor", "needs -o FILE"), "raw f32 is written to it");
  }
  const file::TensorView& t = checkpoint.require(args.tensor);
  file::AtomicFile out(args.output);
  std::vector<float> row(t.columns());
  for (size_t r = 0; r < t.rows(); ++r) {
    kernel::dequantize_row(t.type, t.data.data() + r * t.row_bytes(), row);
    out.write(std::as_bytes(std::span(row)));
  }
  out.commit();
  if (args.json) {
    print_json({{"file", args.output}, {"type", "f32"}, {"shape", {t.rows(), t.columns()}}});
  } else {
    fmt::print(stderr, "wrote {}: {} as f32 [{}, {}]\n", args.output, args.tensor, t.rows(),
               t.columns());
  }
  return 0;
}

// What running the model takes for a context; an object with "error" where it cannot be run.
Json memory_json(const file::Checkpoint& checkpoint, const InspectArgs& args) {
  try {
    const model::Config config = model::read_config(checkpoint);
    const kv::Policy policy =
        kv::make_policy(kv::parse_policy(args.kv), kernel::default_kernels().native_kv);
    policy.store.require_layers(config.layers);
    size_t weights = 0;
    for (const file::TensorView& t : checkpoint.tensors()) weights += t.data.size();
    const size_t context = args.context > 0 ? args.context : config.trained_context;
    const size_t step = engine::step_tokens(policy, ModelOptions{}.batch);
    const engine::CacheNeed need = engine::cache_need(config, policy, context, step);
    const size_t page = kernel::kPageTokens;
    const engine::CacheNeed more = engine::cache_need(config, policy, context + 64 * page, step);
    return {{"context", context},
            {"kv", policy.line},
            {"weight_bytes", weights},
            {"kv_bytes", need.peak()},
            {"kv_choosing_bytes", need.choosing},
            {"kv_reading_bytes", need.reading},
            {"kv_kept_bytes", need.kept},
            {"kv_bytes_per_token", (more.peak() - need.peak()) / (64 * page)},
            {"total_bytes", weights + need.peak()}};
  } catch (const Error& error) {
    return {{"error", error.what()}, {"hint", error.hint()}};
  }
}

// Where the cache is larger while a prompt is read than afterwards.
std::string phases(const Json& m) {
  const auto bytes = [&](const char* name) { return human_bytes(m[name].get<double>()); };
  std::string out = "  of the cache: ";
  if (m["kv_choosing_bytes"] != 0) {
    out += fmt::format("{} while the first layers choose tokens, ", bytes("kv_choosing_bytes"));
  }
  return out + fmt::format("{} while the prompt is read, {} then\n", bytes("kv_reading_bytes"),
                           bytes("kv_kept_bytes"));
}

void print_text(const Json& all, const InspectArgs& args) {
  std::string out = fmt::format("{}: {}, {}, {} tensors\n", all["file"].get<std::string>(),
                                all["format"].get<std::string>(),
                                human_bytes(all["bytes"].get<double>()), all["tensors"].size());
  out += "\nmetadata\n";
  for (const auto& [key, value] : all["metadata"].items()) {
    out += fmt::format("  {:<44} {}\n", printable(key),
                       shortened(value.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  out += "\ntensors by format\n";
  for (const auto& [type, entry] : all["types"].items()) {
    out += fmt::format("  {:<8} {:>5} tensors  {:>12}\n", type, entry["tensors"].get<size_t>(),
                       human_bytes(entry["bytes"].get<double>()));
  }
  if (args.tensors) {
    out += "\ntensors\n";
    for (const Json& t : all["tensors"]) {
      out += fmt::format("  {:<40} {:<7} {:<20} {:>12}\n", printable(t["name"].get<std::string>()),
                         t["type"].get<std::string>(), t["shape"].dump(),
                         human_bytes(t["bytes"].get<double>()));
    }
  }
  const Json& m = all["memory"];
  if (m.contains("error")) {
    out += fmt::format("\ncannot be run: {}\n", m["error"].get<std::string>());
    if (!m["hint"].get<std::string>().empty())
      out += fmt::format("{}\n", m["hint"].get<std::string>());
  } else {
    out += fmt::format(
        "\nmemory for a context of {} tokens ({})\n  weights {}, cache {} ({} a token), "
        "together {}\n",
        grouped(m["context"].get<size_t>()), m["kv"].get<std::string>(),
        human_bytes(m["weight_bytes"].get<double>()), human_bytes(m["kv_bytes"].get<double>()),
        human_bytes(m["kv_bytes_per_token"].get<double>()),
        human_bytes(m["total_bytes"].get<double>()));
    if (m["kv_kept_bytes"] != m["kv_bytes"]) out += phases(m);
  }
  print_now(out);
}

int inspect(const InspectArgs& args) {
  if (args.tensor.empty() && !args.output.empty()) {
    throw with_hint(usage_error("-o", "is where --tensor writes, and none is named"),
                    "--tensor NAME -o FILE; --tensors lists them; --json > FILE keeps the rest");
  }
  const auto checkpoint = file::Checkpoint::open(model_path(args.model));
  if (!args.tensor.empty()) return write_tensor(checkpoint, args);
  Json all = {{"file", checkpoint.path()},        {"format", checkpoint.format()},
              {"bytes", checkpoint.file_bytes()}, {"metadata", Json::object()},
              {"types", Json::object()},          {"tensors", Json::array()}};
  for (const auto& [key, value] : checkpoint.metadata().all()) {
    all["metadata"][key] = value_json(value, kShownElements);
  }
  for (const file::TensorView& t : checkpoint.tensors()) {
    const std::string type(info(t.type).name);
    all["tensors"].push_back(
        {{"name", t.name}, {"type", type}, {"shape", t.shape}, {"bytes", t.data.size()}});
    Json& sum = all["types"][type];
    if (sum.is_null()) sum = {{"tensors", 0}, {"bytes", 0}};
    sum["tensors"] = sum["tensors"].get<size_t>() + 1;
    sum["bytes"] = sum["bytes"].get<size_t>() + t.data.size();
  }
  all["memory"] = memory_json(checkpoint, args);
  if (args.json) {
    print_json(all);
  } else {
    print_text(all, args);
  }
  return 0;
}

}  // namespace

Runner add_inspect(CLI::App& app) {
  auto args = std::make_shared<InspectArgs>();
  CLI::App* c =
      app.add_subcommand("inspect", "Show what a model file holds and what it takes to run");
  c->add_option(
      "FILE,-m,--model", args->model,
      "A GGUF file, the first part of a split one, or a Hugging Face folder (default: the "
      "bundled model)");
  c->add_option("-c,--ctx,--ctx-size", args->context,
                "Estimate memory for this context (default: as trained)");
  c->add_option("--kv", args->kv, "Estimate memory for this cache policy");
  c->add_flag("--tensors", args->tensors, "List every tensor");
  c->add_option("--tensor", args->tensor, "Write this tensor, dequantised to raw f32, to -o");
  c->add_option("-o,--output", args->output, "Where --tensor writes");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "Example:\n  fathom inspect model.gguf --ctx 32768\n  fathom inspect model.gguf --tensor "
      "blk.0.attn_q.weight -o q.f32");
  return [args] { return inspect(*args); };
}

}  // namespace fathom::cli
