// fathom profile: what a model's heads attend to in a text, and what policies would read of it.
#include "cli/profile.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "engine/recorder.h"
#include "engine/text_file.h"
#include "file/atomic_file.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;
using engine::TokenId;

// Recordings that are in memory at once.
constexpr size_t kRecordBytes = size_t{512} << 20;
constexpr const char* kDefaultPolicies =
    "prefill=xattention(threshold=0.9); keep=streaming(sinks=4,recent=508); "
    "keep=snapkv(budget=512); fetch=quest(budget=512,page=64)";

struct ProfileArgs {
  std::string model, file, layers, policies = kDefaultPolicies, output, dump;
  int threads = 0;
  size_t tokens = 2048, steps = 32;
  eval::ProfileOptions options;
  bool json = false;
};

class LayerList {
 public:
  LayerList(const std::string& text, size_t layers)
      : text_(text), at_(text.data()), end_(at_ + text.size()), layers_(layers) {}

  // "3,7" or "0-3,7"; all where there is nothing.
  std::vector<size_t> parse() {
    std::vector<size_t> out(text_.empty() ? layers_ : 0);
    std::iota(out.begin(), out.end(), 0);
    while (at_ < end_) {
      const size_t first = number(), last = take('-') ? number() : first;
      for (size_t layer = first; layer <= last; ++layer) out.push_back(layer);
      if (at_ < end_ && (!take(',') || at_ == end_)) refuse();
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    if (out.empty()) refuse();
    return out;
  }

 private:
  size_t number() {
    size_t value = 0;
    const auto [next, error] = std::from_chars(at_, end_, value);
    if (error != std::errc() || value >= layers_) refuse();
    at_ = next;
    return value;
  }
  bool take(char c) { return at_ < end_ && *at_ == c && ++at_; }
  [[noreturn]] void refuse() const {
    throw with_hint(
        usage_error("--layers", "'{}' is not a list of layers", text_),
        fmt::format("for example 0,3 or 0-3; the model has layers 0 to {}", layers_ - 1));
  }

  const std::string& text_;
  const char *at_, *end_;
  size_t layers_;
};

std::vector<kv::Policy> parse_policies(const std::string& text) {
  std::vector<kv::Policy> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(';', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\n") == std::string::npos) continue;
    out.push_back(kv::make_policy(kv::parse_policy(line), kernel::default_kernels().native_kv));
  }
  return out;
}

// A folder that goes away with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = fs::temp_directory_path() / "fathom-profile-XXXXXX";
    if (!mkdtemp(name.data())) throw bad_file(name, "no folder can be made for recordings");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class ProfileCommand {
 public:
  explicit ProfileCommand(const ProfileArgs& args)
      : args_(args), policies_(parse_policies(args.policies)) {}

  int run() {
    const std::string text = engine::read_text_file(args_.file);
    engine_ = load_exact({args_.model, args_.threads, args_.tokens}, progress_);
    tokens_ = engine_->tokenizer().encode(text);
    cut_text();
    const auto layers = LayerList(args_.layers, engine_->model().config().layers).parse();
    describe(layers.size());
    if (!look_at(layers)) return 130;
    progress_.clear();
    finish();
    return 0;
  }

 private:
  void cut_text() {
    if (tokens_.size() > args_.tokens) tokens_.resize(args_.tokens);
    if (tokens_.size() < args_.steps + 64) {
      throw with_hint(
          usage_error("--file", "{} tokens are too few for {} steps", tokens_.size(), args_.steps),
          fmt::format("give a text of at least {} tokens", args_.steps + 64));
    }
  }

  void describe(size_t layers) {
    const model::Config& c = engine_->model().config();
    report_.model = c.name.empty() ? engine_->checkpoint().path() : c.name;
    report_.text = args_.file;
    report_.tokens = tokens_.size();
    report_.prompt = tokens_.size() - args_.steps;
    report_.layers_of_model = c.layers;
    report_.options = args_.options;
    report_.command = fmt::format("fathom profile --tokens {} --steps {} --policies \"{}\"",
                                  tokens_.size(), args_.steps, args_.policies);
    parts_ = layers * (1 + policies_.size());
  }

  // As many layers at once as memory is meant for; the text is read again for the next ones.
  bool look_at(const std::vector<size_t>& layers) {
    const size_t bytes = engine::recording_bytes(engine_->model().config(), tokens_.size());
    const size_t group = std::max<size_t>(1, kRecordBytes / bytes);
    many_ = layers.size() > 1;
    for (size_t at = 0; at < layers.size(); at += group) {
      const auto some = std::span(layers).subspan(at, std::min(group, layers.size() - at));
      const auto recorded =
          engine::record_layers(engine_->runner(), tokens_, some, std::ref(progress_));
      if (interrupted()) return false;
      for (const engine::RecordedLayer& layer : recorded) {
        if (!look_at(layer)) return false;
      }
    }
    return true;
  }

  bool look_at(const engine::RecordedLayer& layer) {
    const std::string path = args_.dump.empty() ? std::string(folder_.path() / "layer.safetensors")
                                                : dump_path(layer.layer);
    engine::write_recording(layer, engine_->runner(), report_.prompt, path);
    if (!args_.dump.empty()) dumped_.push_back(path);
    const kv::Recording recording(path);
    ThreadPool& pool = engine_->runner().threads();
    LayerResult result;
    result.profile = eval::profile_layer(recording, tokens_, args_.options, pool);
    if (!done()) return false;
    for (const kv::Policy& policy : policies_) {
      result.policies.push_back(eval::policy_recall(recording, policy, args_.options, pool));
      if (!done()) return false;
    }
    if (layer.window > 0) {
      result.note += fmt::format("Queries of this layer see the last {} tokens. ", layer.window);
    }
    if (layer.soft_cap > 0) result.note += fmt::format("Scores are capped at {}.", layer.soft_cap);
    report_.layers.push_back(std::move(result));
    return true;
  }

  bool done() { return progress_({"profiling", ++parts_done_, parts_, "parts"}); }

  // OUT.safetensors, or OUT-3.safetensors where there are several.
  std::string dump_path(size_t layer) const {
    if (!many_) return args_.dump;
    const fs::path path(args_.dump);
    return path.parent_path() /
           fmt::format("{}-{}{}", path.stem().string(), layer, path.extension().string());
  }

  void finish() {
    std::string page;
    if (!args_.output.empty()) {
      page = args_.output;
      if (fs::is_directory(page)) page = fs::path(page) / "profile.html";
      file::AtomicFile file(page);
      file.write(profile_html(report_));
      file.commit();
    }
    if (args_.json) {
      Json json = profile_json(report_);
      if (!page.empty()) json["page"] = page;
      if (!dumped_.empty()) json["recordings"] = dumped_;
      print_json(json);
      return;
    }
    print_now(profile_text(report_));
    if (!page.empty()) print_now("\nwritten: " + page + "\n");
    for (const std::string& path : dumped_) print_now("written: " + path + "\n");
  }

  const ProfileArgs& args_;
  std::vector<kv::Policy> policies_;
  TemporaryFolder folder_;
  ProgressLine progress_;
  std::shared_ptr<engine::Engine> engine_;
  std::vector<TokenId> tokens_;
  ProfileReport report_;
  std::vector<std::string> dumped_;
  size_t parts_ = 0, parts_done_ = 0;
  bool many_ = false;
};

}  // namespace

Runner add_profile(CLI::App& app) {
  auto args = std::make_shared<ProfileArgs>();
  CLI::App* c = app.add_subcommand(
      "profile", "See what a model's heads attend to, and what policies would read of it");
  add_model_argument(*c, args->model);
  c->add_option("-f,--file", args->file, "The text; - is standard input")->required();
  c->add_option("--layers", args->layers, "Such as 3,7 or 0-3 (default: all)");
  c->add_option("--policies", args->policies, "--kv lines, separated by semicolons; \"\": none")
      ->capture_default_str();
  c->add_option("--tokens", args->tokens, "Read the first N tokens of the text")
      ->check(CLI::Range(128, 1 << 20))
      ->capture_default_str();
  c->add_option("--steps", args->steps, "Of them, count the last N as written one by one")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  c->add_option("--sinks", args->options.sinks, "First tokens that count as sinks")
      ->capture_default_str();
  c->add_option("--local", args->options.local, "Last tokens that count as local")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c->add_option("--rows", args->options.rows, "Queries looked at, evenly spread")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c->add_option("-o,--output", args->output, "Write a page: FILE.html, or a folder for it");
  c->add_option("--dump", args->dump,
                "Write the layers' queries, keys and values for `fathom replay`: OUT.safetensors, "
                "or OUT-LAYER.safetensors where there are several");
  add_threads_argument(*c, args->threads);
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "The text is read with dense attention. For every layer and query head: how much attention\n"
      "lies on the first tokens, on the last ones, on what could be copied, and how spread it is.\n"
      "For every policy: which share of the keys it reads, and which share of dense attention\n"
      "lies on them. Queries are those of dense attention, so errors do not add up over layers.\n\n"
      "Examples:\n"
      "  fathom profile -f book.txt -o profile.html\n"
      "  fathom profile model.gguf -f book.txt --layers 3,7 --policies \"keep=h2o; fetch=quest\"\n"
      "  fathom profile model.gguf -f book.txt --layers 3 --dump layer.safetensors --policies "
      "\"\"");
  return [args] { return ProfileCommand(*args).run(); };
}

}  // namespace fathom::cli
