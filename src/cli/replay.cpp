// fathom replay: what a policy line decides on a recorded attention layer; for researchers and
// tests.
#include <cstdio>
#include <memory>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "kernel/kernels.h"
#include "kv/replay/replay.h"

namespace fathom::cli {
namespace {

struct ReplayArgs {
  std::string recording, kv, output;
  int threads = 0;
  bool compare = false, json = false;
};

Json summary(const kv::Replay& replay, const ReplayArgs& args) {
  const kv::Recording& r = replay.recording;
  Json tensors = Json::object();
  for (const kv::ReplayTensor& t : replay.tensors) tensors[t.name] = t.shape;
  Json out = {{"recording", args.recording}, {"kv", replay.policy.line},
              {"prompt_tokens", r.prompt()}, {"decode_steps", r.steps()},
              {"heads", r.heads()},          {"kv_heads", r.kv_heads()},
              {"head_dim", r.head_dim()}};
  if (r.window() > 0) out["window"] = r.window();
  if (r.soft_cap() > 0) out["soft_cap"] = r.soft_cap();
  for (const auto& [name, value] : replay.numbers) out[name] = value;
  if (!args.output.empty()) out["file"] = args.output;
  out["tensors"] = tensors;
  return out;
}

std::string text(const kv::Replay& replay) {
  const kv::Recording& r = replay.recording;
  std::string out = fmt::format(
      "{}\n{} tokens and {} steps, {} query heads of {} channels, {} kv heads\n",
      replay.policy.line, grouped(r.prompt()), r.steps(), r.heads(), r.head_dim(), r.kv_heads());
  if (r.window() > 0) out += fmt::format("a window of {} tokens\n", grouped(size_t(r.window())));
  if (r.soft_cap() > 0) out += fmt::format("scores capped at {}\n", r.soft_cap());
  for (const auto& [name, value] : replay.numbers)
    out += fmt::format("{:<18} {:.6g}\n", name, value);
  return out;
}

int run_command(const ReplayArgs& args) {
  const kv::Policy policy =
      kv::make_policy(kv::parse_policy(args.kv), kernel::default_kernels().native_kv);
  const kv::Recording recording(args.recording);
  ThreadPool pool(args.threads > 0 ? args.threads : usable_cores());
  kv::Replay replay(recording, policy, pool);
  kv::run_replay(replay);
  if (args.compare) {
    const kv::ReplayError error = kv::compare_with_dense(replay);
    replay.numbers["prompt_error"] = error.prompt;
    if (recording.steps() > 0) replay.numbers["decode_error"] = error.decode;
  }
  if (!args.output.empty()) kv::write_replay(replay, args.output);
  if (args.json) {
    print_json(summary(replay, args));
  } else {
    print_now(text(replay));
  }
  return 0;
}

}  // namespace

Runner add_replay(CLI::App& app) {
  auto args = std::make_shared<ReplayArgs>();
  CLI::App* c = app.add_subcommand("replay", "Run a --kv line on a recorded attention layer");
  c->add_option("RECORDING", args->recording,
                "safetensors of one layer: q [tokens, heads, head_dim], k and v [tokens, kv_heads, "
                "head_dim], after RoPE; metadata prompt_tokens, window, soft_cap")
      ->required();
  c->add_option("--kv", args->kv,
                "Cache policy, e.g. \"prefill=xattention store=f32\"; see "
                "`fathom policies`");
  c->add_option("-o,--output", args->output, "safetensors of decisions, out and lse");
  c->add_flag("--compare", args->compare, "Also the relative error against dense attention");
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print the summary as JSON");
  c->footer(
      "No model is run: the attention of the recorded queries is computed in f64 over what each\n"
      "stage leaves. prefill_keys_read is the share of query-key pairs that the prompt's rows "
      "read.\n"
      "Stages that are not named take their defaults; say store=f32 to see a method alone.\n\n"
      "Examples:\n"
      "  fathom replay layer.safetensors --kv \"prefill=xattention(threshold=0.9) store=f32\" "
      "--compare\n"
      "  fathom replay layer.safetensors --kv \"prefill=minference(vertical=100,slash=200)\" -o "
      "out.safetensors");
  return [args] { return run_command(*args); };
}

}  // namespace fathom::cli
