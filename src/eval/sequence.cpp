#include "eval/sequence.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "decode/stop.h"
#include "text/detokenizer.h"

namespace fathom::eval {
namespace {

using engine::Engine;
using engine::StepPart;
using engine::TokenId;
using Clock = std::chrono::steady_clock;

// What a stretch of tokens may be read in: FETCH only acts on single ones.
size_t chunk_of(const Engine& engine) {
  return engine.runner().policy().fetch ? 1 : engine.runner().options().batch_tokens;
}

struct Writing {
  Writing(const Engine& engine, const std::vector<std::string>& stop_strings)
      : stops(stop_strings), detokenizer(engine.tokenizer()) {}
  decode::StopStrings stops;
  text::Detokenizer detokenizer;
  bool done = false;
};

// Takes a token into an answer; true where that ends it.
bool take(const Engine& engine, TokenId id, size_t most, Writing& w, Together::Answer& out) {
  const auto finish = [&] {
    const decode::StopStrings::Result last = w.stops.push(w.detokenizer.flush());
    out.text += last.text;
    if (!last.stopped) out.text += w.stops.flush();
    return true;
  };
  if (engine.tokenizer().ends_generation(id)) return finish();
  out.tokens.push_back(id);
  const decode::StopStrings::Result text = w.stops.push(w.detokenizer.push(id));
  out.text += text.text;
  if (text.stopped) return true;
  out.cut = out.tokens.size() >= most;
  return out.cut && finish();
}

}  // namespace

TokenId likeliest(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double surprise(std::span<const float> logits, TokenId token) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  return std::log(sum) + top - logits[static_cast<size_t>(token)];
}

Sequence::Sequence(Engine& engine, AfterTurns after)
    : Sequence(engine, engine.runner().new_cache(), after) {}
Sequence::Sequence(Engine& engine, kv::SequenceCache cache, AfterTurns after)
    : engine_(&engine), cache_(std::move(cache)), after_(after) {}

bool Sequence::read(std::span<const TokenId> tokens, const Progress& progress) {
  const size_t before = cache_.text_length();
  const std::span<const float> logits = engine_->runner().read(cache_, tokens, progress);
  const size_t n = cache_.text_length() - before;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
  logits_.assign(logits.begin(), logits.end());
  return n == tokens.size();
}

void Sequence::append(std::span<const TokenId> tokens) {
  const size_t chunk = chunk_of(*engine_);
  for (size_t at = 0; at < tokens.size(); at += chunk) {
    const auto part_tokens = tokens.subspan(at, std::min(chunk, tokens.size() - at));
    const StepPart part{&cache_, part_tokens};
    const std::span<const float> logits = engine_->runner().step({&part, 1});
    logits_.assign(logits.begin(), logits.end());
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void Sequence::append_turn(std::span<const TokenId> tokens) {
  append(tokens);
  if (after_ == AfterTurns::kReselect) engine_->runner().keep_again(cache_);
}

void Sequence::truncate(size_t length) {
  cache_.truncate(length);
  tokens_.resize(length);
  logits_.clear();
}

Sequence Sequence::fork() const {
  Sequence copy(*engine_, cache_.fork(), after_);
  copy.tokens_ = tokens_;
  copy.logits_ = logits_;
  return copy;
}

void Together::step(std::span<const size_t> which, std::span<const TokenId> tokens) {
  const size_t most = engine_.runner().options().batch_tokens;
  const size_t vocab = engine_.runner().config().vocab;
  for (size_t at = 0; at < which.size(); at += most) {
    const size_t n = std::min(most, which.size() - at);
    std::vector<StepPart> parts;
    for (size_t i = at; i < at + n; ++i) {
      parts.push_back({&sequences_[which[i]].cache_, tokens.subspan(i, 1)});
    }
    const std::span<const float> logits = engine_.runner().step(parts);
    for (size_t i = 0; i < n; ++i) {
      Sequence& s = sequences_[which[at + i]];
      const auto row = logits.subspan(i * vocab, vocab);
      s.logits_.assign(row.begin(), row.end());
      s.tokens_.push_back(tokens[at + i]);
    }
  }
}

std::vector<std::vector<double>> Together::surprises(std::span<const std::vector<TokenId>> tokens) {
  FATHOM_CHECK(tokens.size() == sequences_.size());
  std::vector<std::vector<double>> out(tokens.size());
  for (size_t t = 0;; ++t) {
    std::vector<size_t> which;
    std::vector<TokenId> next;
    for (size_t s = 0; s < tokens.size(); ++s) {
      if (t >= tokens[s].size()) continue;
      out[s].push_back(surprise(sequences_[s].logits_, tokens[s][t]));
      if (t + 1 == tokens[s].size()) continue;
      which.push_back(s);
      next.push_back(tokens[s][t]);
    }
    if (which.empty()) return out;
    step(which, next);
  }
}

std::vector<Together::Answer> Together::answer(std::span<const size_t> most,
                                               const std::vector<std::string>& stops,
                                               const Progress& progress) {
  std::vector<Answer> out(sequences_.size());
  std::vector<Writing> writing;
  for (size_t s = 0; s < out.size(); ++s) writing.emplace_back(engine_, stops);
  for (size_t written = 0; report(progress, {"answering", written, 0, "tokens"}); ++written) {
    std::vector<size_t> which;
    std::vector<TokenId> next;
    for (size_t s = 0; s < out.size(); ++s) {
      if (writing[s].done) continue;
      const TokenId id = likeliest(sequences_[s].logits_);
      writing[s].done = take(engine_, id, most[s], writing[s], out[s]);
      if (writing[s].done) continue;
      if (sequences_[s].tokens_.size() >= engine_.context()) {
        writing[s].done = out[s].cut = true;
        continue;
      }
      which.push_back(s);
      next.push_back(id);
    }
    if (which.empty()) break;
    const auto start = Clock::now();
    step(which, next);
    const std::chrono::duration<double> took = Clock::now() - start;
    for (const size_t s : which) out[s].seconds += took.count() / double(which.size());
  }
  return out;
}

}  // namespace fathom::eval
