#include "eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

namespace fathom::eval {
namespace {

using engine::Outputs;
using engine::TokenId;

// -ln p(token) under the softmax of the logits.
double surprise(std::span<const float> logits, TokenId token) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  return std::log(sum) + top - logits[static_cast<size_t>(token)];
}

struct Sums {
  double nll = 0, squares = 0;
  size_t count = 0;
};

// Logits of many positions take vocab floats each: as many at a time as 64 MiB hold.
size_t step_size(const engine::Runner& runner) {
  const size_t fit = (size_t{16} << 20) / runner.config().vocab;
  return std::max<size_t>(1, std::min(runner.options().batch_tokens, fit));
}

void score_chunk(engine::Engine& engine, std::span<const TokenId> chunk, Sums& sums) {
  engine::Runner& runner = engine.runner();
  const size_t vocab = runner.config().vocab, first = chunk.size() / 2;
  kv::SequenceCache cache = runner.new_cache();
  runner.read(cache, chunk.first(first));
  for (size_t at = first; at + 1 < chunk.size();) {
    const size_t n = std::min(step_size(runner), chunk.size() - 1 - at);
    const engine::StepPart part{&cache, chunk.subspan(at, n), Outputs::kAll};
    const std::span<const float> logits = runner.step({&part, 1});
    std::vector<double> nll(n);
    runner.threads().run(n, [&](size_t i, int) {
      nll[i] = surprise(logits.subspan(i * vocab, vocab), chunk[at + i + 1]);
    });
    for (const double x : nll) {
      sums.nll += x;
      sums.squares += x * x;
      ++sums.count;
    }
    at += n;
  }
}

}  // namespace

Perplexity perplexity(engine::Engine& engine, std::span<const TokenId> tokens, size_t chunk,
                      const Progress& progress) {
  if (chunk < 4 || chunk > engine.context()) {
    throw usage_error("--chunk", "{} is not between 4 and the context of {}", chunk,
                      engine.context());
  }
  if (tokens.size() < chunk) {
    throw with_hint(
        usage_error("text", "{} tokens are less than one chunk of {}", tokens.size(), chunk),
        "give more text or a smaller --chunk");
  }
  Sums sums;
  Perplexity result;
  const bool bos = engine.tokenizer().adds_bos();
  for (size_t at = 0; at + chunk <= tokens.size(); at += chunk) {
    std::vector<TokenId> part(tokens.begin() + static_cast<std::ptrdiff_t>(at),
                              tokens.begin() + static_cast<std::ptrdiff_t>(at + chunk));
    if (bos) part.front() = *engine.tokenizer().data().bos;
    score_chunk(engine, part, sums);
    ++result.chunks;
    if (!report(progress, {"scoring", at + chunk, tokens.size() / chunk * chunk, "tokens"})) break;
  }
  const double n = static_cast<double>(sums.count);
  const double mean = sums.nll / n;
  result.scored = sums.count;
  result.value = std::exp(mean);
  const double variance = std::max(0.0, sums.squares / n - mean * mean);
  result.standard_error = result.value * std::sqrt(variance / std::max(1.0, n - 1));
  return result;
}

std::vector<StreamSegment> stream_perplexity(engine::Engine& engine,
                                             std::span<const TokenId> tokens, size_t segment,
                                             const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  engine::Runner& runner = engine.runner();
  if (runner.policy().filter) {
    throw unsupported("--stream", "'{}' chooses tokens of a prompt, and a stream has none",
                      runner.policy().line);
  }
  if (tokens.size() > engine.context() + 1) {
    throw with_hint(
        Error(ErrorCode::kTooLong, "text",
              fmt::format("{} tokens do not fit into the context of {}", tokens.size(),
                          engine.context())),
        fmt::format(
            "ask for more with --ctx {}; --kv \"keep=streaming(positions=slots)\" bounds the "
            "cache",
            tokens.size()));
  }
  const size_t vocab = runner.config().vocab;
  kv::SequenceCache cache = runner.new_cache();
  std::vector<StreamSegment> out;
  std::vector<double> nll;
  double sum = 0, seconds = 0;
  size_t scored = 0;
  const auto close = [&](size_t end) {
    out.push_back({end, std::exp(sum / static_cast<double>(std::max<size_t>(1, scored))), seconds,
                   cache.bytes(), resident_memory()});
    sum = seconds = 0;
    scored = 0;
  };
  for (size_t at = 0; at + 1 < tokens.size();) {
    const size_t n = std::min(step_size(runner), tokens.size() - 1 - at);
    const engine::StepPart part{&cache, tokens.subspan(at, n), Outputs::kAll};
    const auto start = Clock::now();
    const std::span<const float> logits = runner.step({&part, 1});
    seconds += std::chrono::duration<double>(Clock::now() - start).count();
    nll.resize(n);
    runner.threads().run(n, [&](size_t i, int) {
      nll[i] = surprise(logits.subspan(i * vocab, vocab), tokens[at + i + 1]);
    });
    for (const double x : nll) sum += x;
    scored += n;
    at += n;
    const bool go_on = report(progress, {"scoring", at, tokens.size() - 1, "tokens"});
    if (scored >= segment || at + 1 == tokens.size() || !go_on) close(at);
    if (!go_on) break;
  }
  return out;
}

}  // namespace fathom::eval
