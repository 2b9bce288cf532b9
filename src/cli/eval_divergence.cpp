// fathom eval --suite divergence: how far predictions are from those of the first policy.
#include <memory>

#include "base/error.h"
#include "cli/eval.h"
#include "cli/terminal.h"
#include "eval/divergence.h"
#include "eval/library.h"

namespace fathom::cli {
namespace {

constexpr size_t kDefaultWindows = 10;

Json estimate(const eval::Estimate& e) {
  return {{"value", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
}

class DivergenceCommand {
 public:
  explicit DivergenceCommand(const EvalArgs& args) : args_(args), policies_(policy_lines(args)) {
    if (policies_.size() < 2) {
      throw with_hint(usage_error("--policies", "a divergence is between two policies or more"),
                      "for example --policies \"store=f32;store=f16\"; the first is the reference");
    }
    if (!args.books.empty()) library_ = eval::Library::from_folder(args.books);
  }

  int run() {
    const auto reference = load(policies_[0]);
    const std::vector<size_t> lengths = parse_lengths(args_.lengths);
    out_ = fmt::format("against {}\n{:<40} {:>7} {:<7} {:>26} {:>9} {:>9} {:>9} {:>9}\n",
                       reference->runner().policy().line, "policy", "tokens", "set",
                       "KL mean [95 %]", "KL p99", "same top", "ln PPL", "PPL ref");
    for (size_t i = 1; i < policies_.size(); ++i) {
      const auto other = load(policies_[i]);
      for (const size_t length : lengths) {
        if (!measure(*reference, *other, length)) return 130;
      }
    }
    progress_.clear();
    if (args_.json) {
      print_json(json_);
    } else {
      print_now(out_);
    }
    return 0;
  }

 private:
  std::shared_ptr<engine::Engine> load(const std::string& policy) {
    ModelOptions options = args_.model.options();
    options.kv = policy;
    options.progress = std::ref(progress_);
    return engine::Engine::load(args_.model.path(), options);
  }

  // Consecutive sentences, from another place for each window.
  std::vector<std::vector<engine::TokenId>> windows(const engine::Engine& engine,
                                                    size_t length) const {
    std::vector<std::vector<engine::TokenId>> out;
    const size_t count = args_.instances > 0 ? args_.instances : kDefaultWindows;
    for (size_t w = 0; w < count; ++w) {
      eval::ProseStream prose(library_, eval::Random(eval::mix_seeds({args_.seed, length, w})));
      std::string text;
      std::vector<engine::TokenId> tokens;
      for (size_t next = 0; tokens.size() < length;) {
        const size_t wanted = text.size() + 8 * (length - tokens.size());
        while (text.size() < wanted) text += prose.at(next++);
        tokens = engine.tokenizer().encode(text);
      }
      tokens.resize(length);
      out.push_back(std::move(tokens));
    }
    return out;
  }

  bool measure(engine::Engine& reference, engine::Engine& other, size_t length) {
    const auto texts = windows(reference, length);
    for (const auto positions : {eval::PositionSet::kPrefill, eval::PositionSet::kDecode}) {
      eval::DivergenceOptions options;
      options.positions = positions;
      options.decode_tokens = std::min<size_t>(128, length / 4);
      const eval::Divergence d =
          eval::measure_divergence(reference, other, texts, options, std::ref(progress_));
      if (interrupted()) return false;
      add(other.runner().policy().line, length,
          positions == eval::PositionSet::kPrefill ? "prefill" : "decode", d);
    }
    return true;
  }

  void add(const std::string& policy, size_t length, const char* set, const eval::Divergence& d) {
    const std::string kl =
        fmt::format("{:.1e} [{:.1e}, {:.1e}]", d.kl.value, d.kl.interval.low, d.kl.interval.high);
    out_ += fmt::format("{:<40} {:>7} {:<7} {:>26} {:>9.1e} {:>8.2f}% {:>+9.5f} {:>9.2f}\n", policy,
                        length, set, kl, d.kl_p99, 100 * d.same_top.value, d.nll_difference.value,
                        d.reference_perplexity);
    json_.push_back({{"policy", policy},
                     {"reference", policies_[0]},
                     {"length", length},
                     {"positions", set},
                     {"windows", d.windows},
                     {"tokens", d.tokens},
                     {"kl", estimate(d.kl)},
                     {"kl_median", d.kl_median},
                     {"kl_p99", d.kl_p99},
                     {"kl_max", d.kl_max},
                     {"same_top", estimate(d.same_top)},
                     {"ln_perplexity_difference", estimate(d.nll_difference)},
                     {"delta_p_rms", d.delta_p_rms},
                     {"reference_perplexity", d.reference_perplexity}});
  }

  const EvalArgs& args_;
  std::vector<std::string> policies_;
  eval::Library library_;
  ProgressLine progress_;
  std::string out_;
  Json json_ = Json::array();
};

}  // namespace

int eval_divergence(const EvalArgs& args) { return DivergenceCommand(args).run(); }

}  // namespace fathom::cli
