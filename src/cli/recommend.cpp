// fathom recommend: the fastest cache policy within a memory limit and a limit on what it costs.
#include "eval/recommend.h"

#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/recommended.h"
#include "cli/terminal.h"
#include "engine/text_file.h"
#include "eval/controls.h"

namespace fathom::cli {
namespace {

struct RecommendArgs {
  std::string model, memory, length, loss = "1%", time = "5m", file;
  int threads = 0;
  size_t batch = 512;
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

// "90s", "5m", "1h" or seconds
double parse_time(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double scale = unit == "h" ? 3600 : unit == "m" ? 60 : 1;
  const bool known = unit.empty() || unit == "s" || unit == "m" || unit == "h";
  if (end == text.c_str() || !known || !(value > 0 && value * scale < 1e6)) {
    throw with_hint(usage_error("--time", "'{}' is no time", text),
                    "how long the search may take, such as 90s, 5m or 1h");
  }
  return value * scale;
}

const char* verdict_name(eval::Verdict verdict) {
  constexpr const char* kNames[] = {"chosen",    "within limits", "too large",
                                    "too lossy", "refused",       "unfinished"};
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
  out["texts"] = e.texts;
  if (e.texts == 0) return out;
  out["perplexity_rise_text"] = estimate(e.text);
  out["perplexity_rise_facts"] = estimate(e.facts);
  out["kl_text"] = estimate(e.kl_text);
  out["kl_facts"] = estimate(e.kl_facts);
  out["same_top"] = e.same_top;
  out["measured_read_seconds"] = e.measured_read;
  out["measured_step_seconds"] = e.measured_step;
  out["read_seconds"] = e.read_seconds;
  out["step_seconds"] = e.step_seconds;
  out["read_attention_seconds"] = e.read_attention;
  out["step_attention_seconds"] = e.step_attention;
  return out;
}

std::string_view judge_name(eval::Judge judge) {
  return judge == eval::Judge::kPerplexity ? "perplexity" : "divergence";
}

// A share with its interval; of divergences as what perplexity would rise by.
std::string share(const eval::Estimate& e, eval::Judge judge) {
  const auto percent = [&](double v) {
    return 100 * (judge == eval::Judge::kDivergence ? std::expm1(v) : v);
  };
  return fmt::format("{:+.2f}% [{:+.2f}, {:+.2f}]", percent(e.value), percent(e.interval.low),
                     percent(e.interval.high));
}

class RecommendCommand {
 public:
  explicit RecommendCommand(const RecommendArgs& args) : args_(args), options_(args.options) {
    options_.memory = parse_bytes("--memory", args.memory);
    options_.length = parse_bytes("--length", args.length);
    options_.loss = parse_loss(args.loss);
    options_.seconds = parse_time(args.time);
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
            {"seconds", r.seconds},
            {"measured_length", r.measured_length},
            {"timed_length", r.timed_length},
            {"texts", r.windows},
            {"own_text", r.own_text},
            {"judged_by", judge_name(r.judge)},
            {"facts_gain", r.facts_gain},
            {"weights_and_scratch_bytes", r.fixed_bytes},
            {"evidence", evidence}};
  }

  std::string text(const eval::Recommendation& r) const {
    std::string out = fmt::format(
        "{} tokens within {}, of which weights and scratch take {}; {} may rise by {}.\n"
        "Loss: measured on up to {} {} of {} tokens{}. Seconds: {}.\n",
        grouped(options_.length), human_bytes(double(options_.memory)),
        human_bytes(double(r.fixed_bytes)), "perplexity", args_.loss, r.windows,
        r.own_text ? "pieces of your text" : "generated texts", grouped(r.measured_length),
        shorter(r) ? " (budgets in proportion)" : "", timing(r));
    out += judged_by(r);
    out +=
        fmt::format("\n{:>10} {:>24} {:>24} {:>8} {:>8} {:>8} {:>5}  {}\n", "cache", "text [95%]",
                    "facts [95%]", "same top", "read", "a token", "texts", "policy");
    size_t unmeasured = 0;
    for (const eval::Evidence& e : r.evidence) {
      const bool skipped = e.verdict == eval::Verdict::kUnfinished && e.texts == 0;
      unmeasured += skipped;
      if (!skipped) out += row(e, r.judge);
    }
    if (unmeasured > 0) {
      out += fmt::format("{} more policies were not measured{}\n", unmeasured,
                         r.complete ? ": the time was over (--time)" : "");
    }
    return out + conclusion(r);
  }

  std::string timing(const eval::Recommendation& r) const {
    if (r.timed_length == 0) return "measured";
    const bool all = r.timed_length == options_.length;
    return fmt::format("for {} tokens: matrices measured on {}, one layer's attention on {}{}",
                       grouped(options_.length), grouped(r.measured_length),
                       grouped(r.timed_length), all ? "" : ", in proportion");
  }

  bool shorter(const eval::Recommendation& r) const { return r.measured_length < options_.length; }

  static std::string judged_by(const eval::Recommendation& r) {
    if (r.judge == eval::Judge::kPerplexity) {
      return "Rise of perplexity in running text, and where 8 facts from all over it are said "
             "again.\n";
    }
    return fmt::format(
        "This model does not find facts again, with dense attention either (they are {:.2f} nats a "
        "token likelier for\nstanding in the text): its perplexity cannot show what a policy "
        "loses. Judged instead: how far predictions move,\nas e^KL - 1, what perplexity would rise "
        "by if dense attention's predictions were the text. Whether a task is\nstill done, this "
        "does not say.\n",
        r.facts_gain);
  }

  std::string row(const eval::Evidence& e, eval::Judge judge) const {
    std::string out = fmt::format("{:>10} ", human_bytes(double(e.cache_bytes)));
    const bool kl = judge == eval::Judge::kDivergence;
    out += e.texts > 0
               ? fmt::format("{:>24} {:>24} {:>7.2f}% {:>6.1f} s {:>5.1f} ms {:>5}",
                             share(kl ? e.kl_text : e.text, judge),
                             share(kl ? e.kl_facts : e.facts, judge), 100 * e.same_top,
                             e.read_seconds, 1e3 * e.step_seconds, e.texts)
               : fmt::format("{:>24} {:>24} {:>8} {:>8} {:>8} {:>5}", "", "", "", "", "", "");
    out += "  " + eval::short_line(e.policy);
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
  c->add_option("--time", args->time, "How long the search may take: 90s, 5m, 1h")
      ->capture_default_str();
  add_threads_argument(*c, args->threads);
  c->add_option("-b,--batch-size", args->batch, "Tokens read in one step")->capture_default_str();
  c->add_flag("--dry-run", args->dry, "Do not keep the result for --kv auto");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "What a cache takes is computed for --length. What a policy loses is measured against dense\n"
      "attention on texts as long as --time allows, with budgets in the same proportion: on the\n"
      "last tokens of each text and on facts from all over it that are said again at its end.\n"
      "Times are measured there; those of attention, which grow with the length, on one layer at\n"
      "--length. Every single change of a plain policy is tried on one text, then the fastest "
      "within --loss and\n"
      "combinations of them on more. Chosen is the fastest whose loss stays within --loss at the\n"
      "upper ends of both 95% intervals. The result is kept for the model's contents (see\n"
      "docs/commands.md) and used by --kv auto.\n\n"
      "Examples:\n"
      "  fathom recommend --memory 64MiB --length 4k\n"
      "  fathom recommend model.gguf --memory 4GiB --length 64k --loss 0.5% -f book.txt\n"
      "  fathom run model.gguf --kv auto -c 65536 -f book.txt -q \"Who is he?\"");
  return [args] { return RecommendCommand(*args).run(); };
}

}  // namespace fathom::cli
