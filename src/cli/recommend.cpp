// fathom recommend: the fastest cache policy within a memory limit and a limit on what it costs.
#include "eval/recommend.h"

#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/recommended.h"
#include "cli/terminal.h"
#include "engine/text_file.h"

namespace fathom::cli {
namespace {

struct RecommendArgs {
  std::string model, memory, length, loss = "1%", file;
  int threads = 0;
  size_t batch = 512;
  double minutes = 3;
  eval::RecommendOptions options;
  bool json = false, dry = false;
};

// "1%" or "0.01"
double parse_loss(const std::string& text) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  const std::string rest = end;
  if (rest == "%") value /= 100;
  if (end == text.c_str() || !(rest.empty() || rest == "%") || !(value > 0 && value < 10)) {
    throw with_hint(usage_error("--loss", "'{}' is not a share", text),
                    "the most that perplexity may rise, such as 1% or 0.01");
  }
  return value;
}

const char* verdict_name(eval::Verdict verdict) {
  constexpr const char* kNames[] = {"chosen", "within limits", "too large", "too lossy"};
  return kNames[static_cast<size_t>(verdict)];
}

Json estimate(const eval::Estimate& e) {
  return {{"value", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
}

Json evidence_json(const eval::Evidence& e) {
  Json out = {{"kv", e.policy},
              {"verdict", verdict_name(e.verdict)},
              {"reason", e.reason},
              {"cache_bytes", e.cache_bytes}};
  if (!e.measured) return out;
  out["perplexity_rise_text"] = estimate(e.text);
  out["perplexity_rise_facts"] = estimate(e.facts);
  out["kl_facts"] = e.kl;
  out["same_top"] = e.same_top;
  out["read_tokens_per_second"] = e.read_speed;
  out["write_tokens_per_second"] = e.write_speed;
  return out;
}

std::string signed_percent(const eval::Estimate& e) {
  return fmt::format("{:+.2f}% [{:+.2f}, {:+.2f}]", 100 * e.value, 100 * e.interval.low,
                     100 * e.interval.high);
}

class RecommendCommand {
 public:
  explicit RecommendCommand(const RecommendArgs& args) : args_(args), options_(args.options) {
    options_.memory = parse_bytes("--memory", args.memory);
    options_.length = parse_bytes("--length", args.length);
    options_.loss = parse_loss(args.loss);
    options_.seconds = 60 * args.minutes;
    if (options_.length < 64) throw usage_error("--length", "{} is below 64", options_.length);
  }

  int run() {
    if (!args_.file.empty()) options_.text = engine::read_text_file(args_.file);
    path_ = model_path(args_.model);
    ModelOptions load;
    load.threads = args_.threads;
    load.batch = args_.batch;
    load.context = 1024;  // the search makes its own caches
    load.progress = std::ref(progress_);
    const auto engine = engine::Engine::load(path_, load);
    const eval::Recommendation r = eval::recommend(*engine, options_, std::ref(progress_));
    progress_.clear();
    const bool found = r.complete && !r.policy.empty();
    if (found && !args_.dry) keep(r);
    if (args_.json) {
      print_json(json(r));
    } else {
      print_now(text(r));
    }
    if (interrupted()) return 130;
    return found ? 0 : static_cast<int>(ErrorCode::kOutOfMemory);
  }

 private:
  void keep(const eval::Recommendation& r) {
    const std::string identity = model_identity(path_);
    keep_recommendation(identity, json(r));
    kept_ = recommendation_path(identity);
  }

  Json json(const eval::Recommendation& r) const {
    Json evidence = Json::array();
    for (const eval::Evidence& e : r.evidence) evidence.push_back(evidence_json(e));
    return {{"model", path_},
            {"kv", r.policy},
            {"length", options_.length},
            {"memory", options_.memory},
            {"loss", options_.loss},
            {"complete", r.complete},
            {"measured_length", r.measured_length},
            {"texts", r.windows},
            {"own_text", r.own_text},
            {"weights_and_scratch_bytes", r.fixed_bytes},
            {"evidence", evidence}};
  }

  std::string text(const eval::Recommendation& r) const {
    std::string out = fmt::format(
        "{} tokens within {}, of which weights and scratch take {}; perplexity may rise by {}.\n"
        "Measured on {} {} of {} tokens{}: rise in running text, and where {} facts from all over "
        "it are said again.\n\n",
        grouped(options_.length), human_bytes(double(options_.memory)),
        human_bytes(double(r.fixed_bytes)), args_.loss, r.windows,
        r.own_text ? "pieces of your text" : "generated texts", grouped(r.measured_length),
        r.measured_length < options_.length ? " (budgets in proportion)" : "", 8);
    out += fmt::format("{:>10} {:>24} {:>24} {:>8} {:>8} {:>8}  {}\n", "cache", "text [95 %]",
                       "facts [95 %]", "same top", "read/s", "write/s", "policy");
    for (const eval::Evidence& e : r.evidence) out += row(e);
    return out + conclusion(r);
  }

  std::string row(const eval::Evidence& e) const {
    std::string out = fmt::format("{:>10} ", human_bytes(double(e.cache_bytes)));
    out += e.measured
               ? fmt::format("{:>24} {:>24} {:>7.2f}% {:>8.0f} {:>8.1f}", signed_percent(e.text),
                             signed_percent(e.facts), 100 * e.same_top, e.read_speed, e.write_speed)
               : fmt::format("{:>24} {:>24} {:>8} {:>8} {:>8}", "", "", "", "", "");
    out += "  " + e.policy;
    if (e.verdict == eval::Verdict::kChosen) return out + "  <- chosen\n";
    return out + (e.reason.empty() ? "" : "\n" + std::string(12, ' ') + "no: " + e.reason) + "\n";
  }

  std::string conclusion(const eval::Recommendation& r) const {
    if (!r.complete) return "\nEnded early: nothing is recommended.\n";
    if (r.policy.empty()) {
      return "\nNothing measured keeps within both limits: allow more memory (--memory), a larger "
             "loss (--loss), or fewer tokens (--length).\n";
    }
    std::string out = fmt::format("\n--kv \"{}\"\n", r.policy);
    if (!kept_.empty()) out += fmt::format("kept for this model; --kv auto uses it ({})\n", kept_);
    return out + fmt::format(
                     "Check it on tasks before you rely on it: fathom eval {} --policies "
                     "\"store=f32; {}\"\n",
                     path_, r.policy);
  }

  const RecommendArgs& args_;
  eval::RecommendOptions options_;
  ProgressLine progress_;
  std::string path_, kept_;
};

}  // namespace

Runner add_recommend(CLI::App& app) {
  auto args = std::make_shared<RecommendArgs>();
  CLI::App* c = app.add_subcommand(
      "recommend", "Find the fastest --kv line within a memory limit, on your model");
  add_model_argument(*c, args->model);
  c->add_option("--memory", args->memory,
                "Most memory for the program: weights, scratch and cache, e.g. 4GiB")
      ->required();
  c->add_option("--length", args->length, "Tokens that you will read; k is 1024")->required();
  c->add_option("--loss", args->loss, "Most that perplexity may rise, e.g. 1% or 0.01")
      ->capture_default_str();
  c->add_option("-f,--file", args->file,
                "Measure on this text (default: generated prose); - is standard input");
  c->add_option("--generate", args->options.generate, "Tokens of a reply, to weigh speeds")
      ->capture_default_str();
  c->add_option("--windows", args->options.windows, "Most texts that policies are compared on")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  c->add_option("--minutes", args->minutes, "About how long the search may take")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  c->add_option("-t,--threads", args->threads, "Threads (default: physical cores)")
      ->check(CLI::Range(0, 1024));
  c->add_option("-b,--batch-size", args->batch, "Tokens read in one step")->capture_default_str();
  c->add_flag("--dry-run", args->dry, "Do not keep the result for --kv auto");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "What a cache takes is computed for --length. What a policy loses and how fast it is are\n"
      "measured on texts as long as --minutes allow, with budgets in the same proportion: against\n"
      "dense attention, on the last 256 tokens of each text and on facts from all over it that "
      "are\n"
      "said again at its end. A policy is taken if the upper ends of both 95% intervals stay\n"
      "within --loss and it is 5% faster than the one before. The result is kept for the model's\n"
      "contents (see docs/commands.md) and used by --kv auto.\n\n"
      "Examples:\n"
      "  fathom recommend --memory 64MiB --length 4k\n"
      "  fathom recommend model.gguf --memory 4GiB --length 64k --loss 0.5% -f book.txt\n"
      "  fathom run model.gguf --kv auto -c 65536 -f book.txt -q \"Who is he?\"");
  return [args] { return RecommendCommand(*args).run(); };
}

}  // namespace fathom::cli
