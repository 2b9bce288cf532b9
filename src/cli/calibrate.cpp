// fathom calibrate: which pattern of MInference suits each head of a model, as the table that
// prefill=minference(table=FILE) reads.
#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "engine/text_file.h"
#include "eval/calibrate.h"
#include "file/atomic_file.h"

namespace fathom::cli {
namespace {

using eval::PatternTrial;
using kv::MInferencePattern;

constexpr size_t kLeastTokens = 256;

struct CalibrateArgs {
  std::string model, file, output;
  int threads = 0;
  size_t tokens = 4096;
  eval::CalibrationOptions options;
  bool json = false;
};

std::string_view short_name(MInferencePattern pattern) {
  switch (pattern) {
    case MInferencePattern::kVerticalSlash:
      return "vertical_slash";
    case MInferencePattern::kBlockSparse:
      return "block_sparse";
    case MInferencePattern::kStreaming:
      break;
  }
  return "a_shape";
}

std::string sizes(const kv::MInferenceHead& head) {
  switch (head.pattern) {
    case MInferencePattern::kVerticalSlash:
      return fmt::format("{} columns, {} diagonals", head.first, head.second);
    case MInferencePattern::kBlockSparse:
      return fmt::format("{} blocks", head.first);
    case MInferencePattern::kStreaming:
      break;
  }
  return fmt::format("{} sinks, window {}", head.first, head.second);
}

// Errors of all heads, had every one of them a pattern of one kind.
struct Kind {
  size_t chosen = 0;  // heads that took it
  size_t heads = 0;   // that it fits the budget of
  double error = 0;   // mean over these
};

class CalibrateCommand {
 public:
  explicit CalibrateCommand(const CalibrateArgs& args) : args_(args) {}

  int run() {
    const std::string text = engine::read_text_file(args_.file);
    engine_ = load_exact({args_.model, args_.threads, args_.tokens, args_.tokens}, progress_);
    tokens_ = engine_->tokenizer().encode(text);
    if (tokens_.size() < kLeastTokens) {
      throw with_hint(
          usage_error(args_.file, "{} tokens are too few to find patterns in", tokens_.size()),
          fmt::format("give a text of {} or more, as long as those you will read", kLeastTokens));
    }
    tokens_.resize(std::min(tokens_.size(), engine_->context()));
    const auto found =
        eval::calibrate(engine_->runner(), tokens_, args_.options, std::ref(progress_));
    progress_.clear();
    if (!found) return 130;
    found_ = *found;
    file::AtomicFile file(args_.output);
    file.write(eval::minference_table_text(found_));
    file.commit();
    summarise();
    if (args_.json) {
      print_json(json());
    } else {
      print_now(report());
    }
    return 0;
  }

 private:
  void summarise() {
    for (const auto& layer : found_) {
      for (const auto& trials : layer) {
        const PatternTrial& best = eval::best_trial(trials);
        error_ += best.error;
        cost_ += best.cost;
        ++heads_;
        ++kinds_[short_name(best.head.pattern)].chosen;
        add_kinds(trials);
      }
    }
    error_ /= double(heads_);
    cost_ /= double(heads_);
    for (auto& [name, kind] : kinds_) kind.error /= double(std::max<size_t>(1, kind.heads));
  }

  // The best of each kind.
  void add_kinds(const std::vector<PatternTrial>& trials) {
    std::map<std::string_view, double> least;
    for (const PatternTrial& t : trials) {
      const auto [at, fresh] = least.emplace(short_name(t.head.pattern), t.error);
      if (!fresh) at->second = std::min(at->second, t.error);
    }
    for (const auto& [name, error] : least) {
      ++kinds_[name].heads;
      kinds_[name].error += error;
    }
  }

  Json json() const {
    Json heads = Json::array(), kinds = Json::object();
    for (size_t layer = 0; layer < found_.size(); ++layer) {
      for (size_t h = 0; h < found_[layer].size(); ++h) {
        const PatternTrial& best = eval::best_trial(found_[layer][h]);
        heads.push_back({{"layer", layer},
                         {"head", h},
                         {"pattern", short_name(best.head.pattern)},
                         {"sizes", {best.head.first, best.head.second}},
                         {"cost", best.cost},
                         {"error", best.error}});
      }
    }
    for (const auto& [name, kind] : kinds_) {
      kinds[std::string(name)] = {
          {"chosen", kind.chosen}, {"fits", kind.heads}, {"error", kind.error}};
    }
    return {{"model", engine_->checkpoint().path()},
            {"table", args_.output},
            {"tokens", tokens_.size()},
            {"budget", args_.options.budget},
            {"rows", std::min(args_.options.rows, tokens_.size())},
            {"cost", cost_},
            {"error", error_},
            {"patterns", kinds},
            {"heads", std::move(heads)}};
  }

  std::string report() const {
    std::string out = fmt::format(
        "{} tokens, at most {:.0f}% of attention a head; error: of its output, against dense\n\n"
        "layer  head  pattern         read  error  sizes\n",
        grouped(tokens_.size()), 100 * args_.options.budget);
    for (size_t layer = 0; layer < found_.size(); ++layer) {
      for (size_t h = 0; h < found_[layer].size(); ++h) {
        const PatternTrial& best = eval::best_trial(found_[layer][h]);
        out += fmt::format("{:5}  {:4}  {:<14}  {:3.0f}%  {:5.3f}  {}\n", layer, h,
                           short_name(best.head.pattern), 100 * best.cost, best.error,
                           sizes(best.head));
      }
    }
    out += fmt::format("\nmean error {:.3f}, reading {:.0f}%\n", error_, 100 * cost_);
    for (const auto& [name, kind] : kinds_) {
      out += fmt::format("  {:<14}  chosen by {} of {} heads; alone {:.3f}", name, kind.chosen,
                         heads_, kind.error);
      out += kind.heads < heads_ ? fmt::format(", over the {} it fits\n", kind.heads) : "\n";
    }
    return out + fmt::format("written: {}\n", args_.output);
  }

  const CalibrateArgs& args_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  std::vector<engine::TokenId> tokens_;
  eval::Calibration found_;
  size_t heads_ = 0;
  double error_ = 0, cost_ = 0;
  std::map<std::string_view, Kind> kinds_;
};

}  // namespace

Runner add_calibrate(CLI::App& app) {
  auto args = std::make_shared<CalibrateArgs>();
  CLI::App* c = app.add_subcommand("calibrate", "Find each head's pattern, for prefill=minference");
  add_model_argument(*c, args->model);
  c->add_option("-f,--file", args->file, "A text like those that will be read; - is standard input")
      ->required();
  c->add_option("-o,--output", args->output, "The table")->required();
  c->add_option("--tokens", args->tokens, "Of the text that are read, in one step")
      ->check(CLI::Range(kLeastTokens, size_t{65536}))
      ->capture_default_str();
  c->add_option("--budget", args->options.budget, "Share of attention that a head may compute")
      ->check(CLI::Range(0.001, 1.0))
      ->capture_default_str();
  c->add_option("--rows", args->options.rows, "Queries whose output is compared, evenly spread")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print every head's choice as JSON");
  c->footer(
      "Sizes suit the length of the text that they were found in: take one as long as those you\n"
      "will read.\n\n"
      "Example:\n"
      "  fathom calibrate model.gguf -f book.txt -o heads.json --tokens 16384 --budget 0.15\n"
      "  fathom run model.gguf -f book.txt -q \"Who is he?\" --kv "
      "\"prefill=minference(table=heads.json)\"");
  return [args] { return CalibrateCommand(*args).run(); };
}

}  // namespace fathom::cli
