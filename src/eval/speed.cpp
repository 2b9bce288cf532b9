#include "eval/speed.h"

#include <algorithm>

#include "base/error.h"
#include "base/stopwatch.h"

namespace fathom::eval {
namespace {

using engine::TokenId;

// Tokens of no meaning: speed does not depend on which.
std::vector<TokenId> some_tokens(size_t n, size_t vocab) {
  std::vector<TokenId> out(n);
  uint64_t state = 1;
  for (TokenId& id : out) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    id = static_cast<TokenId>((state >> 33) % vocab);
  }
  return out;
}

// Multiply-adds and bytes of a model's matrices, by the peak they run at.
struct Work {
  double int8 = 0, bf16 = 0, f32 = 0;  // multiply-adds
  double bytes = 0;

  void add(const kernel::Matrix& m, double tokens) {
    const double macs = double(m.rows()) * double(m.columns()) * tokens;
    switch (kernel::act_form(m.type())) {
      case kernel::ActForm::kInt8:
        int8 += macs;
        break;
      case kernel::ActForm::kBFloat:
        bf16 += macs;
        break;
      case kernel::ActForm::kFloat:
        f32 += macs;
        break;
    }
  }
  double macs() const { return int8 + bf16 + f32; }
  double seconds(const MachineLimits& limits) const {
    const double f = limits.f32_macs_per_second;
    const double compute = int8 / limits.int8_macs_per_second.value_or(f) +
                           bf16 / limits.bf16_macs_per_second.value_or(f) + f32 / f;
    return std::max(compute, bytes / limits.read_bytes_per_second);
  }
};

class WorkCount {
 public:
  WorkCount(const engine::Engine& engine) : engine_(engine) {}

  // A step of n tokens behind `depth` others, with one token's logits, of each sequence.
  Work step(size_t n, size_t depth, const SpeedTest& test) const {
    const model::Weights& w = engine_.model().weights();
    Work work;
    for (const model::LayerWeights& layer : w.layers) {
      for (const model::Linear* l :
           {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
        work.add(l->weights, double(n * test.sequences));
        work.bytes += double(l->weights.bytes());
      }
    }
    const kernel::Matrix& output = w.output.rows() > 0 ? w.output : w.embedding;
    work.add(output, double(test.sequences));
    work.bytes += double(output.bytes());
    add_attention(n, depth, test, work);
    return work;
  }

 private:
  void add_attention(size_t n, size_t depth, const SpeedTest& test, Work& work) const {
    const double sequences = double(test.sequences);
    const double readers = test.depth_of == Depth::kShared ? 1 : sequences;
    const model::Config& c = engine_.model().config();
    const kv::Policy& policy = engine_.runner().policy();
    for (size_t l = 0; l < c.layers; ++l) {
      const double window = c.windowed(l) ? double(c.window) : 1e18;
      const double keys = std::min(window, double(depth) + (double(n) + 1) / 2);  // a query's mean
      const double macs = 2.0 * sequences * double(n) * keys * double(c.heads * c.head_dim);
      if (policy.store.of(l).format() == kernel::KvFormat::kBF16) {
        work.bf16 += macs;
      } else {
        work.f32 += macs;
      }
      const double read = std::min(window, double(depth + n));
      work.bytes += readers * read / double(kernel::kPageTokens) * double(c.kv_heads) *
                    double(policy.store.of(l).sealed_bytes(c.head_dim));
    }
  }

  const engine::Engine& engine_;
};

Work total_work(const engine::Engine& engine, const SpeedTest& test) {
  const WorkCount count(engine);
  Work total;
  const size_t batch = test.prompt > 0 ? engine.runner().step_tokens() : 1;
  const size_t tokens = test.prompt > 0 ? test.prompt : test.generate;
  for (size_t at = 0; at < tokens; at += batch) {
    const Work step = count.step(std::min(batch, tokens - at), test.depth + at, test);
    total.int8 += step.int8;
    total.bf16 += step.bf16;
    total.f32 += step.f32;
    total.bytes += step.bytes;
  }
  return total;
}

using Caches = std::vector<kv::SequenceCache>;

void generate(engine::Engine& engine, Caches& caches, std::span<const TokenId> tokens) {
  std::vector<engine::StepPart> parts;
  for (const TokenId& id : tokens) {
    parts.clear();
    for (kv::SequenceCache& cache : caches) parts.push_back({&cache, {&id, 1}});
    engine.runner().step(parts);
  }
}

double run_once(engine::Engine& engine, const SpeedTest& test, const Caches& behind,
                SpeedResult& result) {
  Caches caches;
  for (size_t i = 0; i < test.sequences; ++i) caches.push_back(behind[i % behind.size()].fork());
  const size_t n = test.prompt > 0 ? test.prompt : test.generate;
  const std::vector<TokenId> tokens = some_tokens(n, engine.tokenizer().size());
  kv::Attender& attender = engine.runner().attender();
  attender.reset_account();
  const Stopwatch watch;
  if (test.prompt > 0) {
    engine.runner().read(caches[0], tokens);
  } else {
    generate(engine, caches, tokens);
  }
  const double took = watch.seconds();
  result.kv_bytes = engine.runner().pages().stats().used_bytes;
  result.seconds += took;
  result.attention_seconds += attender.seconds();
  result.select_seconds += attender.account().select_seconds;
  result.prompt_read = attender.account().density();
  result.keys_read = attender.fetch_account().share();
  return double(n * test.sequences) / took;
}

}  // namespace

std::string SpeedTest::name() const {
  std::string base = prompt > 0 ? fmt::format("pp{}", prompt) : fmt::format("tg{}", generate);
  if (sequences > 1) {
    base += fmt::format(" x{} {}", sequences, depth_of == Depth::kShared ? "shared" : "own");
  }
  return depth > 0 ? fmt::format("{} @ d{}", base, depth) : base;
}

double SpeedResult::median() const {
  std::vector<double> sorted = tokens_per_second;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

SpeedResult measure_speed(engine::Engine& engine, const SpeedTest& test, size_t repetitions,
                          const MachineLimits& limits, const Progress& progress) {
  const size_t n = test.prompt > 0 ? test.prompt : test.generate;
  if (test.depth + n > engine.context()) {
    throw with_hint(usage_error(test.name(), "needs a context of {}, there are {}", test.depth + n,
                                engine.context()),
                    "ask for a larger one with --ctx");
  }
  if (test.depth > 0 && test.prompt > 0 && engine.runner().policy().filter) {
    throw with_hint(unsupported(test.name(), "'{}' chooses from a whole text, not from its end",
                                engine.runner().policy().line),
                    "measure prompts at depth 0");
  }
  Caches behind;
  for (size_t i = 0; i < (test.depth_of == Depth::kShared ? 1 : test.sequences); ++i) {
    behind.push_back(engine.runner().new_cache());
    if (test.depth == 0) continue;
    engine.runner().read(behind[i], some_tokens(test.depth, engine.tokenizer().size()), progress);
  }
  SpeedResult result;
  result.test = test;
  const Work work = total_work(engine, test);
  result.limit = double(n * test.sequences) / work.seconds(limits);
  result.macs = static_cast<size_t>(work.macs());
  result.bytes = static_cast<size_t>(work.bytes);
  SpeedTest warm_up = test;
  warm_up.prompt = std::min<size_t>(test.prompt, 512);
  warm_up.generate = std::min<size_t>(test.generate, 4);
  run_once(engine, warm_up, behind, result);
  result.seconds = result.attention_seconds = result.select_seconds = 0;
  for (size_t r = 0; r < repetitions; ++r) {
    result.tokens_per_second.push_back(run_once(engine, test, behind, result));
    if (!report(progress, {"measuring", r + 1, repetitions, "runs"})) break;
  }
  const double runs = double(result.tokens_per_second.size());
  for (double* s : {&result.seconds, &result.attention_seconds, &result.select_seconds}) *s /= runs;
  return result;
}

}  // namespace fathom::eval
