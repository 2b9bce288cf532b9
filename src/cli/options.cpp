#include "cli/options.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/memory.h"
#include "cli/recommended.h"

namespace fathom::cli {
namespace {

constexpr const char* kModelFile = "fathom-tiny-f16.gguf";

// "123-0.5" or "123+2": a token id and what to add to its logit, as llama.cpp writes it.
std::pair<int32_t, float> parse_logit_bias(const std::string& text) {
  int32_t id = 0;
  float bias = 0;
  const char* end = text.data() + text.size();
  const auto [after_id, id_error] = std::from_chars(text.data(), end, id);
  const char* number = after_id != end && *after_id == '+' ? after_id + 1 : after_id;
  const auto [after_bias, bias_error] = std::from_chars(number, end, bias);
  const bool sign = after_id != end && (*after_id == '+' || *after_id == '-');
  if (id_error != std::errc() || bias_error != std::errc() || after_bias != end || !sign ||
      std::isnan(bias)) {
    throw with_hint(usage_error("--logit-bias", "'{}' is not TOKEN+BIAS or TOKEN-BIAS", text),
                    "for example 15043+1 or 15043-1.5; `fathom tokenize` shows token ids");
  }
  return {id, bias};
}

}  // namespace

std::string bundled_model() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv("FATHOM_MODEL")) return named;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& folder :
       {program / "../share/fathom/models", program / "../../models", program / "models"}) {
    if (fs::exists(folder / kModelFile, error)) return fs::weakly_canonical(folder / kModelFile);
  }
  throw with_hint(bad_file(kModelFile,
                           "the bundled model is not where the program was built or "
                           "installed"),
                  "name a model, or set FATHOM_MODEL to one");
}

void add_model_argument(CLI::App& command, std::string& model) {
  command.add_option("MODEL,-m,--model", model,
                     "A GGUF file, the first part of a split one, or a Hugging Face folder "
                     "(default: the small bundled model)");
}

void add_threads_argument(CLI::App& command, int& threads) {
  command.add_option("-t,--threads", threads, "Threads (default: physical cores)")
      ->check(CLI::Range(0, 1024));
}

void ModelArgs::add_to(CLI::App& command) {
  add_model_argument(command, model);
  const std::string group = "Model";
  command.add_option("-t,--threads", threads, "Threads (default: physical cores)")->group(group);
  command
      .add_option("-c,--ctx,--ctx-size", context,
                  "Context in tokens (default: as trained, if memory allows)")
      ->group(group);
  command.add_option("-b,--batch-size", batch, "Tokens read in one step")
      ->group(group)
      ->capture_default_str();
  command
      .add_option(
          "--kv", kv,
          "Cache policy, e.g. \"store=f16\"; see `fathom policies`; auto: what `fathom recommend` "
          "found for this model")
      ->group(group);
  command.add_option("--kv-memory", kv_memory, "Most memory for the cache, e.g. 4GiB")
      ->group(group);
}

std::string model_path(const std::string& named) { return named.empty() ? bundled_model() : named; }

std::shared_ptr<engine::Engine> load_exact(const ExactModel& asked, ProgressLine& progress) {
  ModelOptions options;
  options.threads = asked.threads;
  options.kv = "store=f32";
  options.progress = std::ref(progress);
  options.context = asked.context;
  if (asked.batch > 0) options.batch = asked.batch;
  return engine::Engine::load(model_path(asked.model), options);
}

std::string ModelArgs::path() const { return model_path(model); }

ModelOptions ModelArgs::options() const {
  ModelOptions o;
  o.threads = threads;
  o.context = context;
  o.batch = batch;
  o.kv = kv == "auto" ? recommended_policy(path()) : kv;
  if (!kv_memory.empty()) o.kv_bytes = parse_bytes("--kv-memory", kv_memory);
  return o;
}

void GenerateArgs::add_to(CLI::App& command, float temperature) {
  SamplingOptions& s = options.sampling;
  s.temperature = temperature;
  const std::string group = "Generation";
  const auto add = [&](const std::string& name, auto& value, const std::string& help) {
    command.add_option(name, value, help)->group(group)->capture_default_str();
  };
  add("-n,--n-predict,--predict", options.max_tokens, "Most tokens of a reply; -1: until it ends");
  add("--temp", s.temperature, "Temperature; 0 always takes the most likely token");
  add("--top-k", s.top_k, "Choose among the k most likely tokens; 0: all");
  add("--top-p", s.top_p, "Choose among the most likely tokens that hold this probability");
  add("--min-p", s.min_p, "Leave out tokens less likely than this share of the most likely one");
  add("--typical", s.typical_p, "Locally typical sampling; 1: off");
  add("--repeat-penalty", s.repeat_penalty, "Penalty for repeated tokens; 1: off");
  add("--repeat-last-n", s.repeat_last_n, "Tokens that penalties look back on; -1: all");
  add("--presence-penalty", s.presence_penalty, "Penalty for tokens that occurred; 0: off");
  add("--frequency-penalty", s.frequency_penalty, "Penalty for each occurrence; 0: off");
  add("-s,--seed", s.seed, "The same seed gives the same text");
  command.add_option("-l,--logit-bias", logit_bias, "TOKEN+BIAS or TOKEN-BIAS; repeatable")
      ->group(group);
  command
      .add_option("-r,--stop,--reverse-prompt", options.stop,
                  "End the reply before this text; repeatable")
      ->group(group);
  command.add_flag("--ignore-eos", options.ignore_eos, "Go on where the model would end")
      ->group(group);
}

GenerateOptions GenerateArgs::get() const {
  GenerateOptions out = options;
  for (const std::string& text : logit_bias) {
    out.sampling.logit_bias.push_back(parse_logit_bias(text));
  }
  return out;
}

}  // namespace fathom::cli
