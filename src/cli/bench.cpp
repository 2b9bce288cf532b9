// fathom bench: the table that users of llama-bench know, with the share of the machine's limits.
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "eval/speed.h"

namespace fathom::cli {
namespace {

constexpr size_t kMostTokens = size_t{1} << 27;

struct BenchArgs {
  std::string model, output = "md";
  std::vector<size_t> prompts = {512}, generates = {128}, depths = {0};
  std::vector<int> threads = {0};
  std::vector<std::string> policies = {""};
  std::vector<size_t> sequences = {1};
  std::string depth_of = "shared";
  size_t repetitions = 5, batch = 512;
  bool json = false;
};

struct Row {
  eval::SpeedResult result;
  int threads;
  std::string kv;
};

class BenchCommand {
 public:
  explicit BenchCommand(const BenchArgs& args) : args_(args) {
    if (args.output != "md" && args.output != "json" && args.output != "csv") {
      throw with_hint(usage_error("-o", "'{}' is not a format", args.output),
                      "known: md, json, csv");
    }
    if (args.depth_of != "shared" && args.depth_of != "own") {
      throw with_hint(usage_error("--depth-of", "'{}' is neither", args.depth_of), "shared or own");
    }
    for (const std::vector<size_t>* counts : {&args.prompts, &args.generates, &args.depths}) {
      for (const size_t n : *counts) {
        if (n > kMostTokens) throw usage_error("-p, -n and -d", "{} is beyond {}", n, kMostTokens);
      }
    }
    for (const size_t n : args.sequences) {
      if (n < 1 || n > 256) throw usage_error("--np", "{} is not between 1 and 256", n);
    }
    if (args.repetitions == 0) throw usage_error("-r", "0 repetitions measure nothing");
  }

  int run() {
    for (const int threads : args_.threads) {
      for (const std::string& kv : args_.policies) run_engine(threads, kv);
    }
    progress_.clear();
    if (format() == "json") print_json(as_json());
    if (format() == "csv") print_now(as_csv());
    return interrupted() ? 130 : 0;
  }

 private:
  std::string format() const { return args_.json ? "json" : args_.output; }

  eval::Depth depth_of() const {
    return args_.depth_of == "own" ? eval::Depth::kOwn : eval::Depth::kShared;
  }

  std::vector<eval::SpeedTest> tests() const {
    std::vector<eval::SpeedTest> out;
    for (const size_t depth : args_.depths) {
      for (const size_t p : args_.prompts) {
        if (p > 0) out.push_back({p, 0, depth});
      }
      for (const size_t n : args_.generates) {
        for (const size_t sequences : args_.sequences) {
          if (n > 0) out.push_back({0, n, depth, sequences, depth_of()});
        }
      }
    }
    return out;
  }

  void run_engine(int threads, const std::string& kv) {
    ModelOptions options;
    options.threads = threads;
    options.kv = kv;
    options.batch = args_.batch;
    options.progress = std::ref(progress_);
    for (const eval::SpeedTest& t : tests()) {
      options.context = std::max(options.context, t.depth + t.prompt + t.generate);
    }
    const std::string path = model_path(args_.model);
    const auto engine = engine::Engine::load(path, options);
    engine::Runner& runner = engine->runner();
    if (limits_.threads != runner.threads().size()) {
      progress_({"measuring the machine", 0, 1, "runs"});
      limits_ = eval::measure_limits(runner.threads(), runner.kernels());
      progress_.clear();
    }
    describe(*engine);
    for (const eval::SpeedTest& test : tests()) {
      if (interrupted()) return;
      rows_.push_back(
          {eval::measure_speed(*engine, test, args_.repetitions, limits_, std::ref(progress_)),
           runner.threads().size(), runner.policy().line});
      progress_.clear();
      if (format() == "md") print_row(rows_.back());
    }
  }

  void describe(const engine::Engine& engine) {
    name_ = printable(engine.model().config().name);
    if (name_.empty()) name_ = std::filesystem::path(engine.checkpoint().path()).filename();
    size_ = engine.model().weights().bytes();
    if (format() != "md" || limits_shown_ == limits_.threads) return;
    const auto giga = [](double x) { return x / 1e9; };
    std::string line =
        fmt::format("{}, {}, {} threads: reads {:.1f} GB/s", limits_.cpu, limits_.instruction_set,
                    limits_.threads, giga(limits_.read_bytes_per_second));
    if (limits_.int8_macs_per_second) {
      line += fmt::format(", int8 {:.0f} GMAC/s", giga(*limits_.int8_macs_per_second));
    }
    if (limits_.bf16_macs_per_second) {
      line += fmt::format(", bf16 {:.0f} GMAC/s", giga(*limits_.bf16_macs_per_second));
    }
    line += fmt::format(", f32 {:.0f} GMAC/s\n\n", giga(limits_.f32_macs_per_second));
    if (limits_shown_ == 0) {
      line +=
          "| model | size | threads | kv store | test | t/s | limit t/s | share | attention |\n"
          "|---|---:|---:|---|---|---:|---:|---:|---|\n";
    }
    print_now(line);
    limits_shown_ = limits_.threads;
  }

  static std::string store_of(const std::string& kv) {
    const size_t at = kv.find("store=") + 6;
    return kv.substr(at, kv.find(' ', at) - at);
  }

  // Share of the time, and what policies left of the reading.
  static std::string attention_of(const eval::SpeedResult& r) {
    std::string out = fmt::format("{:.0f}%", 100 * r.attention_seconds / r.seconds);
    if (r.select_seconds > 0) {
      out += fmt::format(", choosing {:.1f}%", 100 * r.select_seconds / r.seconds);
    }
    if (r.prompt_read < 1) out += fmt::format(", {:.1f}% read", 100 * r.prompt_read);
    if (r.keys_read < 1) out += fmt::format(", {:.1f}% of keys read", 100 * r.keys_read);
    return out;
  }

  void print_row(const Row& row) const {
    const auto [low, high] = std::minmax_element(row.result.tokens_per_second.begin(),
                                                 row.result.tokens_per_second.end());
    print_now(fmt::format(
        "| {} | {} | {} | {} | {} | {:.2f} ({:.2f} to {:.2f}) | {:.2f} | {:.0f}% | {} |\n", name_,
        human_bytes(double(size_)), row.threads, store_of(row.kv), row.result.test.name(),
        row.result.median(), *low, *high, row.result.limit, 100 * row.result.share(),
        attention_of(row.result)));
  }

  Json as_json() const {
    Json rows = Json::array();
    for (const Row& row : rows_) {
      const eval::SpeedResult& r = row.result;
      rows.push_back({{"test", r.test.name()},
                      {"n_prompt", r.test.prompt},
                      {"n_gen", r.test.generate},
                      {"n_depth", r.test.depth},
                      {"n_parallel", r.test.sequences},
                      {"threads", row.threads},
                      {"kv", row.kv},
                      {"median_tokens_per_second", r.median()},
                      {"samples", r.tokens_per_second},
                      {"limit_tokens_per_second", r.limit},
                      {"share_of_limit", r.share()},
                      {"macs", r.macs},
                      {"bytes", r.bytes},
                      {"kv_bytes", r.kv_bytes},
                      {"seconds", r.seconds},
                      {"attention_seconds", r.attention_seconds},
                      {"select_seconds", r.select_seconds},
                      {"prompt_read", r.prompt_read},
                      {"keys_read", r.keys_read}});
    }
    Json machine = {{"cpu", limits_.cpu},
                    {"instruction_set", limits_.instruction_set},
                    {"threads", limits_.threads},
                    {"read_bytes_per_second", limits_.read_bytes_per_second},
                    {"f32_macs_per_second", limits_.f32_macs_per_second}};
    if (limits_.int8_macs_per_second)
      machine["int8_macs_per_second"] = *limits_.int8_macs_per_second;
    if (limits_.bf16_macs_per_second)
      machine["bf16_macs_per_second"] = *limits_.bf16_macs_per_second;
    return {{"model", name_}, {"weight_bytes", size_}, {"machine", machine}, {"rows", rows}};
  }

  std::string as_csv() const {
    std::string out =
        "test,n_prompt,n_gen,n_depth,n_parallel,threads,kv,median_ts,limit_ts,share\n";
    for (const Row& row : rows_) {
      const eval::SpeedResult& r = row.result;
      out += fmt::format("{},{},{},{},{},{},\"{}\",{:.3f},{:.3f},{:.4f}\n", r.test.name(),
                         r.test.prompt, r.test.generate, r.test.depth, r.test.sequences,
                         row.threads, row.kv, r.median(), r.limit, r.share());
    }
    return out;
  }

  const BenchArgs& args_;
  ProgressLine progress_;
  eval::MachineLimits limits_;
  int limits_shown_ = 0;
  std::string name_;
  size_t size_ = 0;
  std::vector<Row> rows_;
};

}  // namespace

Runner add_bench(CLI::App& app) {
  auto args = std::make_shared<BenchArgs>();
  CLI::App* c = app.add_subcommand("bench", "Measure speed, beside the machine's limits");
  add_model_argument(*c, args->model);
  const auto list = [&](const std::string& name, auto& values, const std::string& help) {
    c->add_option(name, values, help)->delimiter(',')->capture_default_str();
  };
  list("-p,--n-prompt", args->prompts, "Tokens to read; a list makes a row each, 0 none");
  list("-n,--n-gen", args->generates, "Tokens to generate; a list makes a row each, 0 none");
  list("-d,--n-depth", args->depths, "Tokens that are in the cache before; a list");
  list("-t,--threads", args->threads, "Threads; a list; 0: physical cores");
  list("--np,--parallel", args->sequences, "Sequences that generate together; a list");
  c->add_option("--depth-of", args->depth_of,
                "What --np sequences have read: one text, 'shared', or each its 'own'")
      ->capture_default_str();
  c->add_option("--kv", args->policies, "Cache policy; repeatable");
  c->add_option("-r,--repetitions", args->repetitions, "Runs of each test; the median is printed")
      ->capture_default_str();
  c->add_option("-b,--batch-size", args->batch, "Tokens read in one step")->capture_default_str();
  c->add_option("-o,--output", args->output, "md, json or csv")->capture_default_str();
  c->add_flag("--json", args->json, "The same as -o json");
  c->footer(
      "A limit is what the test's multiply-adds take at the measured peak of their\n"
      "instructions, or its bytes at the measured bandwidth, whichever is longer; all of\n"
      "the keys count, also where a policy reads fewer. The last column is attention's share\n"
      "of the time and, with policies, the share that choosing takes and how much is read.\n"
      "Example:\n  fathom synth 1b.gguf && fathom bench 1b.gguf -p 512,8192 -n 64 -d 0,32768");
  return [args] { return BenchCommand(*args).run(); };
}

}  // namespace fathom::cli
