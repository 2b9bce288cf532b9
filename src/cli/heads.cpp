// fathom heads: finds the heads that copy from the context and writes them as a head table.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "eval/copy_scores.h"
#include "eval/head_scores.h"
#include "file/atomic_file.h"

namespace fathom::cli {
namespace {

using eval::HeadScore;

constexpr size_t kDefaultBlock = 2500;

struct HeadsArgs {
  std::string model, output;
  int threads = 0;
  size_t block = 0, repeats = 4, rows = 512;
  size_t copy = 0, copy_length = 1024;
  double share = 0.15;
  uint64_t seed = 1;
  bool gates = false, json = false;
};

class HeadsCommand {
 public:
  explicit HeadsCommand(const HeadsArgs& args) : args_(args) {}

  int run() {
    engine_ = load_exact({args_.model, args_.threads, context()}, progress_);
    const model::Config& c = engine_->model().config();
    text_ =
        eval::make_repeated_text(engine_->tokenizer(), block_length(), args_.repeats, args_.seed);
    rows_ = eval::repeated_rows(text_, args_.rows);
    const auto scores = eval::score_heads(engine_->runner(), text_, rows_, std::ref(progress_));
    if (!scores) return 130;
    progress_.clear();
    scores_ = *scores;
    if (args_.copy > 0 && !add_copying()) return 130;
    grouped_ = eval::group_scores(scores_, c.kv_heads);
    marked_ = args_.copy > 0 ? eval::copying_heads(grouped_, c.kv_heads, args_.share)
                             : eval::retrieval_heads(grouped_, c.kv_heads, args_.share);
    write_table();
    if (args_.json) {
      print_json(json());
    } else {
      print_now(report());
    }
    return 0;
  }

 private:
  size_t context() const {
    const size_t repeated = (args_.block > 0 ? args_.block : kDefaultBlock) * args_.repeats + 1;
    return args_.copy > 0 ? std::max(repeated, args_.copy_length) : repeated;
  }

  bool add_copying() {
    const auto texts = eval::copy_texts(*engine_, args_.seed, args_.copy_length, args_.copy);
    const auto copying = eval::score_copying(engine_->runner(), texts, std::ref(progress_));
    if (!copying) return false;
    progress_.clear();
    copied_ = copying->counted;
    if (copied_ == 0) {
      throw with_hint(unsupported("--copy", "the model answers none of {} texts", texts.size()),
                      "leave --copy out: echo and induction need no answers");
    }
    for (size_t l = 0; l < scores_.size(); ++l) {
      for (size_t h = 0; h < scores_[l].size(); ++h) scores_[l][h].copy = copying->heads[l][h];
    }
    return true;
  }

  // As wanted, or as much of the default as vocabulary and context have room for.
  size_t block_length() const {
    const size_t vocabulary = eval::repeatable_tokens(engine_->tokenizer());
    const size_t trained = engine_->model().config().trained_context;
    const size_t context = trained > 0 ? trained : engine_->context();
    const size_t room = std::min(vocabulary, (context - 1) / args_.repeats);
    const size_t block = args_.block > 0 ? args_.block : std::min(kDefaultBlock, room);
    if (block > room || block < 2) {
      throw with_hint(usage_error("--block", "{} different tokens, {} times, are too many", block,
                                  args_.repeats),
                      fmt::format("the vocabulary has {}, the model's context is {}: at most {}",
                                  vocabulary, context, room));
    }
    return block;
  }

  bool marked(size_t layer, size_t kv_head) const {
    return marked_.values[layer * marked_.kv_heads + kv_head] > 0;
  }

  // What finds the same table in the same model.
  std::string command() const {
    std::string out = fmt::format("fathom heads --block {} --repeats {} --rows {} --seed {} {}",
                                  text_.block, args_.repeats, args_.rows, args_.seed,
                                  args_.gates ? "--gates" : fmt::format("--share {}", args_.share));
    if (args_.copy > 0) {
      out += fmt::format(" --copy {} --copy-length {}", args_.copy, args_.copy_length);
    }
    return out;
  }

  void write_table() const {
    const kv::HeadTable table = !args_.gates     ? marked_
                                : args_.copy > 0 ? eval::copy_table(grouped_, marked_.kv_heads)
                                                 : eval::score_table(grouped_, marked_.kv_heads);
    std::string text = fmt::format("# {}: {}\n", model_name(), command());
    text += "# a line a layer, a number a kv head: ";
    text += !args_.gates     ? "1 for retrieval heads, 0 for the others\n"
            : args_.copy > 0 ? "its copy score\n"
                             : "the larger of its echo and induction scores\n";
    for (size_t i = 0; i < table.values.size(); ++i) {
      const char end = (i + 1) % table.kv_heads == 0 ? '\n' : '\t';
      text += args_.gates ? fmt::format("{:.6f}{}", table.values[i], end)
                          : fmt::format("{:.0f}{}", table.values[i], end);
    }
    file::AtomicFile file(args_.output);
    file.write(text);
    file.commit();
  }

  std::string model_name() const {
    const std::string& name = engine_->model().config().name;
    std::string out = name.empty() ? engine_->checkpoint().path() : name;
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out;
  }

  size_t marks() const {
    return static_cast<size_t>(std::count(marked_.values.begin(), marked_.values.end(), 1.0f));
  }

  Json json() const {
    Json heads = Json::array();
    for (size_t layer = 0; layer < scores_.size(); ++layer) {
      const size_t group = scores_[layer].size() / marked_.kv_heads;
      for (size_t h = 0; h < scores_[layer].size(); ++h) {
        const HeadScore& s = scores_[layer][h];
        heads.push_back({{"layer", layer},
                         {"head", h},
                         {"kv_head", h / group},
                         {"echo", s.echo},
                         {"induction", s.induction},
                         {"retrieval", marked(layer, h / group)}});
        if (args_.copy > 0) heads.back()["copy"] = s.copy;
      }
    }
    return {{"model", model_name()},
            {"command", command()},
            {"table", args_.output},
            {"tokens", text_.tokens.size()},
            {"block", text_.block},
            {"repeats", args_.repeats},
            {"rows", rows_.size()},
            {"seed", args_.seed},
            {"chance", eval::chance_score(text_, rows_)},
            {"share", args_.share},
            {"copy_texts", args_.copy},
            {"copy_texts_counted", copied_},
            {"retrieval_kv_heads", marks()},
            {"kv_heads", marked_.values.size()},
            {"heads", std::move(heads)}};
  }

  std::string report() const {
    std::string out = fmt::format(
        "{}: {} tokens {} times, {} queries; the best of each group\n\n"
        "layer  kv head   echo  induction{}\n",
        model_name(), text_.block, args_.repeats, rows_.size(), args_.copy > 0 ? "   copy" : "");
    out += fmt::format("                {0:5.3f}      {0:5.3f}  attending to everything alike\n",
                       eval::chance_score(text_, rows_));
    for (size_t i = 0; i < grouped_.size(); ++i) {
      const size_t layer = i / marked_.kv_heads, head = i % marked_.kv_heads;
      out += fmt::format("{:5}  {:7}  {:5.3f}  {:9.3f}{}{}\n", layer, head, grouped_[i].echo,
                         grouped_[i].induction,
                         args_.copy > 0 ? fmt::format("  {:5.3f}", grouped_[i].copy) : "",
                         marked(layer, head) ? "  retrieval" : "");
    }
    if (args_.copy > 0) out += fmt::format("\ncopy: {} texts that it answers\n", copied_);
    return out + fmt::format("\n{} of {} kv heads are retrieval heads\nwritten: {}\n", marks(),
                             grouped_.size(), args_.output);
  }

  const HeadsArgs& args_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  eval::RepeatedText text_;
  std::vector<size_t> rows_;
  std::vector<std::vector<HeadScore>> scores_;
  std::vector<HeadScore> grouped_;
  size_t copied_ = 0;  // texts that count
  kv::HeadTable marked_;
};

}  // namespace

Runner add_heads(CLI::App& app) {
  auto args = std::make_shared<HeadsArgs>();
  CLI::App* c = app.add_subcommand("heads", "Find a model's retrieval heads, for policies' tables");
  add_model_argument(*c, args->model);
  c->add_option("-o,--output", args->output, "The table")->required();
  c->add_option("--share", args->share, "Of the kv heads, the most that are retrieval heads")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  c->add_flag("--gates", args->gates,
              "Write scores, of which a policy takes the share that it is told to, not 0 and 1")
      ->excludes("--share");
  c->add_option("--block", args->block,
                "Different tokens (default: 2500, or what vocabulary and context have room for)")
      ->check(CLI::Range(2, 1 << 20));
  c->add_option("--repeats", args->repeats, "Times that they are read")
      ->check(CLI::Range(2, 64))
      ->capture_default_str();
  c->add_option("--rows", args->rows, "Queries looked at, evenly spread")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c->add_option("--copy", args->copy,
                "Choose heads by what they copy instead, from facts in so many texts; 20 will do")
      ->check(CLI::Range(1, 10000));
  c->add_option("--copy-length", args->copy_length, "Tokens of such a text")
      ->check(CLI::Range(128, 1 << 20))
      ->capture_default_str();
  c->add_option("-s,--seed", args->seed, "Of the random tokens")->capture_default_str();
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print every query head's scores as JSON");
  c->footer(
      "The model reads random tokens, all different, several times in a row. Echo is a head's\n"
      "attention to earlier places of the query's own token, induction that to the tokens after\n"
      "them. Of the retrieval heads one in 15 is chosen for its echo, the others for induction.\n"
      "Copy: of the tokens of an answer, those that a head, when they are written, looks at most\n"
      "in the fact that holds the answer.\n\n"
      "Example:\n"
      "  fathom heads model.gguf -o heads.tsv\n"
      "  fathom run model.gguf -f book.txt -q \"Who is he?\" --kv \"keep=duo(heads=heads.tsv)\"\n"
      "  fathom run model.gguf -f book.txt -q \"Who is he?\" --kv "
      "\"prefill=lserve(table=heads.tsv)\"");
  return [args] { return HeadsCommand(*args).run(); };
}

}  // namespace fathom::cli
