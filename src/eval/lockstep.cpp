#include "eval/lockstep.h"

#include <algorithm>

#include "eval/sequence.h"

namespace fathom::eval {

using engine::Outputs;
using engine::TokenId;

Lockstep::Lockstep(const Subject& reference, const Subject& other)
    : subjects_{&reference, &other},
      runners_{&reference.engine->runner(), &other.engine->runner()},
      caches_{runners_[0]->new_cache(), runners_[1]->new_cache()},
      vocab_(runners_[0]->config().vocab) {
  other.marks->reference = reference.marks.get();
}

Lockstep::~Lockstep() {
  record(false);
  subjects_[1]->marks->reference = nullptr;
}

void Lockstep::read(std::span<const TokenId> tokens) {
  if (tokens.empty()) return;
  for (size_t i = 0; i < 2; ++i) runners_[i]->read(caches_[i], tokens);
}

void Lockstep::append(std::span<const TokenId> tokens) {
  for (size_t i = 0; i < 2; ++i) {
    const size_t most = runners_[i]->policy().fetch ? 1 : runners_[i]->options().batch_tokens;
    for (size_t at = 0; at < tokens.size(); at += most) {
      const engine::StepPart part{&caches_[i],
                                  tokens.subspan(at, std::min(most, tokens.size() - at))};
      runners_[i]->step({&part, 1});
    }
  }
}

void Lockstep::score(std::span<const TokenId> tokens, std::span<const TokenId> next,
                     std::vector<TokenDivergence>& out) {
  std::span<const float> logits[2];
  for (size_t i = 0; i < 2; ++i) {
    const engine::StepPart part{&caches_[i], tokens, Outputs::kAll};
    logits[i] = runners_[i]->step({&part, 1});
  }
  const size_t first = out.size();
  out.resize(first + tokens.size());
  runners_[0]->threads().run(tokens.size(), [&](size_t t, int) {
    out[first + t] = compare_logits(logits[0].subspan(t * vocab_, vocab_),
                                    logits[1].subspan(t * vocab_, vocab_), next[t]);
  });
}

size_t Lockstep::common_prefix(TokenId last, size_t most) {
  kv::SequenceCache forks[] = {caches_[0].fork(), caches_[1].fork()};
  for (size_t n = 0; n < most; ++n) {
    TokenId next[2];
    for (size_t i = 0; i < 2; ++i) {
      const engine::StepPart part{&forks[i], {&last, 1}};
      next[i] = likeliest(runners_[i]->step({&part, 1}));
    }
    if (next[0] != next[1]) return n;
    last = next[0];
  }
  return most;
}

// Taken before the step: KEEP may leave out tokens at its end, before what was read is looked at.
void Lockstep::record(bool on) {
  for (const Subject* s : subjects_) s->marks->record = on;
  places_.clear();
  extras_.clear();
  if (!on) return;
  const kv::SequenceCache& cache = caches_[1];
  const kv::CacheShape& shape = cache.shape();
  for (size_t i = 0; i < shape.layers * shape.kv_heads; ++i) {
    const kv::HeadId id{i / shape.kv_heads, i % shape.kv_heads};
    const kv::HeadCache& head = cache.head(id.layer, id.kv_head);
    extras_.push_back(extra_of(head, id));
    std::vector<size_t>& list = places_.emplace_back();
    for (size_t t = 0; t < head.length(); ++t) {
      list.push_back(static_cast<size_t>(cache.text_place(head.position(t))));
    }
    list.push_back(caches_[0].length());  // the step's token
  }
}

std::optional<double> Lockstep::recall(AttentionLosses& losses) const {
  const model::Config& config = runners_[0]->config();
  double sum = 0;
  size_t heads = 0;
  for (size_t l = 0; l < config.layers; ++l) {
    if (config.windowed(l)) continue;
    for (size_t h = 0; h < config.kv_heads; ++h) {
      if (step(0, l, h).weights.empty()) return std::nullopt;
      const double mass = head_mass(l, h);
      losses.add_mass(l, h, mass);
      add_losses(l, h, losses);
      sum += mass;
      ++heads;
    }
  }
  return heads > 0 ? std::optional(sum / double(heads)) : std::nullopt;
}

double Lockstep::head_mass(size_t layer, size_t head) const {
  const std::vector<float>& weights = step(0, layer, head).weights;
  const std::vector<size_t>& places = places_[layer * runners_[0]->config().kv_heads + head];
  double sum = 0;
  for (const kv::Run& run : step(1, layer, head).runs) {
    for (int32_t i = run.first; i < run.end; ++i) {
      sum += weights[places[static_cast<size_t>(i)]];
    }
  }
  return sum;
}

void Lockstep::add_losses(size_t layer, size_t head, AttentionLosses& losses) const {
  const Marks::Step &reference = step(0, layer, head), &other = step(1, layer, head);
  const kv::ExtraToken& extra = extras_[layer * runners_[0]->config().kv_heads + head];
  const size_t d = runners_[0]->config().head_dim;
  for (size_t g = 0; g < std::min(reference.outputs.size(), other.outputs.size()); ++g) {
    AttentionOutput answer = other.outputs[g];
    join_extra(answer, extra, reference.queries.data() + g * d, other.shape);
    losses.add(layer, head, compare_outputs(reference.outputs[g], answer));
  }
}

size_t Lockstep::step_tokens() const {
  const size_t batch =
      std::min(runners_[0]->options().batch_tokens, runners_[1]->options().batch_tokens);
  return std::max<size_t>(1, std::min(batch, (size_t{16} << 20) / vocab_));
}

const Marks::Step& Lockstep::step(size_t which, size_t layer, size_t head) const {
  return subjects_[which]->marks->steps[layer * runners_[0]->config().kv_heads + head];
}

}  // namespace fathom::eval
