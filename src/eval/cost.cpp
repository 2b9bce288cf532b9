#include "eval/cost.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "eval/json_lines.h"
#include "eval/sequence.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Of one step behind the text, counted on a fork.
void count_traffic(engine::Engine& engine, const Sequence& text, engine::TokenId token,
                   kv::Traffic& traffic) {
  Sequence fork = text.fork();
  engine.runner().attender().count(&traffic);
  fork.append({&token, 1});
  engine.runner().attender().count(nullptr);
}

std::vector<double> time_steps(Sequence& text, std::span<const engine::TokenId> tokens) {
  std::vector<double> steps;
  for (const engine::TokenId& token : tokens) {
    const auto begun = Clock::now();
    text.append({&token, 1});
    steps.push_back(seconds_since(begun));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

// A token's keys and values.
size_t f16_bytes(const model::Config& c) { return 2 * 2 * c.layers * c.kv_heads * c.head_dim; }

DepthCost measure_depth(engine::Engine& engine, std::span<const engine::TokenId> tokens,
                        size_t depth, size_t steps) {
  Sequence text(engine);
  text.read(tokens.first(depth));
  kv::Traffic traffic;
  const double took = median(time_steps(text, tokens.subspan(depth, steps)));
  count_traffic(engine, text, tokens[depth + steps], traffic);
  return {depth, took, traffic.total()};
}

// Forks of the text, which write the same tokens in the same steps. Nothing where they have no
// room.
std::optional<BatchCost> measure_batch(engine::Engine& engine, const Sequence& text,
                                       size_t sequences, std::span<const engine::TokenId> tokens) {
  if (sequences > engine.runner().options().batch_tokens) return std::nullopt;
  std::vector<kv::SequenceCache> caches;
  size_t bytes = 0;
  for (size_t i = 0; i < sequences; ++i) {
    caches.push_back(text.cache().fork());
    bytes += caches[i].bytes_for(tokens.size());
  }
  if (bytes > engine.runner().pages().free_bytes()) return std::nullopt;
  std::vector<double> steps;
  for (const engine::TokenId& token : tokens) {
    std::vector<engine::StepPart> parts;
    for (kv::SequenceCache& cache : caches) parts.push_back({&cache, {&token, 1}});
    const auto begun = Clock::now();
    engine.runner().step(parts);
    steps.push_back(seconds_since(begun));
  }
  return BatchCost{sequences, median(steps)};
}

}  // namespace

CostLine measure_cost(const Subject& subject, std::span<const engine::TokenId> tokens,
                      size_t length, const CostOptions& options) {
  FATHOM_CHECK(tokens.size() >= length + options.question + options.steps);
  engine::Engine& engine = *subject.engine;
  kv::Attender& attender = engine.runner().attender();
  CostLine out;
  out.policy = subject.policy();
  out.length = length;
  out.steps = options.steps;
  attender.reset_account();
  const auto start = Clock::now();
  Sequence text(engine);
  text.read(tokens.first(length));
  likeliest(text.logits());
  out.first_token_seconds = seconds_since(start);
  out.prompt_read =
      attender.account().causal > 0 ? attender.account().visited / attender.account().causal : 1.0;
  out.peak_kv_bytes = engine.runner().pages().stats().peak_bytes + text.cache().side_bytes();
  out.allocated_bytes = engine.runner().pages().stats().held_bytes;
  out.filled_bytes = text.cache().filled_bytes();
  out.f16_bytes = f16_bytes(engine.model().config());
  out.read_bytes_per_second = options.read_bytes_per_second;
  {
    // As a conversation goes on: the question is read in one step.
    kv::SequenceCache fork = text.cache().fork();
    const auto asked = Clock::now();
    const engine::StepPart part{&fork, tokens.subspan(length, options.question)};
    likeliest(engine.runner().step({&part, 1}));
    out.warm_seconds = seconds_since(asked);
  }
  for (const size_t sequences : kBatches) {
    const auto forced = tokens.subspan(length, options.batch_steps);
    if (const auto batch = measure_batch(engine, text, sequences, forced)) {
      out.batches.push_back(*batch);
    }
  }
  attender.reset_account();
  const std::vector<double> steps = time_steps(text, tokens.subspan(length, options.steps));
  out.keys_read = attender.fetch_account().share();
  out.step_seconds = median(steps);
  out.step_p99 = steps[static_cast<size_t>(0.99 * double(steps.size() - 1) + 0.5)];
  out.side_bytes = text.cache().side_bytes();
  out.kv_bytes = text.cache().bytes() + out.side_bytes;
  kv::Traffic traffic;
  count_traffic(engine, text, tokens[length + options.steps], traffic);
  out.moved_bytes = traffic.total();
  out.index_bytes = traffic.index;
  out.weight_bytes = engine.model().weights().step_bytes();
  for (const size_t depth : options.depths) {
    out.depths.push_back(measure_depth(engine, tokens, depth, options.depth_steps));
  }
  return out;
}

std::string cost_line(const CostLine& l) {
  nlohmann::ordered_json json = {{"model", l.model},
                                 {"policy", l.policy},
                                 {"length", l.length},
                                 {"run", l.run},
                                 {"first_token_seconds", l.first_token_seconds},
                                 {"warm_seconds", l.warm_seconds},
                                 {"step_seconds", l.step_seconds},
                                 {"step_p99", l.step_p99},
                                 {"steps", l.steps},
                                 {"kv_bytes", l.kv_bytes},
                                 {"peak_kv_bytes", l.peak_kv_bytes},
                                 {"side_bytes", l.side_bytes},
                                 {"allocated_bytes", l.allocated_bytes},
                                 {"filled_bytes", l.filled_bytes},
                                 {"f16_bytes", l.f16_bytes},
                                 {"read_bytes_per_second", l.read_bytes_per_second},
                                 {"prompt_read", l.prompt_read},
                                 {"keys_read", l.keys_read},
                                 {"moved_bytes", l.moved_bytes},
                                 {"index_bytes", l.index_bytes},
                                 {"weight_bytes", l.weight_bytes}};
  for (const DepthCost& d : l.depths) {
    json["depths"].push_back(
        {{"depth", d.depth}, {"step_seconds", d.step_seconds}, {"moved_bytes", d.moved_bytes}});
  }
  for (const BatchCost& b : l.batches) {
    json["batches"].push_back({{"sequences", b.sequences}, {"step_seconds", b.step_seconds}});
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<CostLine> parse_costs(std::string_view text, const std::string& source) {
  std::vector<CostLine> out;
  each_json_line(text, source, [&](const file::JsonView& object) {
    const auto positive_of = [&](const file::JsonView& from, const char* key) {
      const double v = from.require(key).as_number();
      if (!(v >= 1e-9 && v <= 1e9)) {
        throw bad_file(object.source(), "'{}' is {}, not a time in seconds", key, v);
      }
      return v;
    };
    const auto positive = [&](const char* key) { return positive_of(object, key); };
    const auto count = [&](const file::JsonView& from, const char* key) {
      const size_t n = size_of(from, key);
      if (n == 0) throw bad_file(object.source(), "'{}' is missing or 0", key);
      return n;
    };
    CostLine& l = out.emplace_back();
    l.model = object.text("model").value_or("");
    l.policy = object.require_text("policy");
    l.length = count(object, "length");
    l.run = size_of(object, "run");
    l.first_token_seconds = positive("first_token_seconds");
    l.warm_seconds = positive("warm_seconds");
    l.step_seconds = positive("step_seconds");
    l.step_p99 = positive("step_p99");
    l.steps = size_of(object, "steps");
    l.kv_bytes = count(object, "kv_bytes");
    l.peak_kv_bytes = count(object, "peak_kv_bytes");
    l.side_bytes = size_of(object, "side_bytes");
    l.allocated_bytes = size_of(object, "allocated_bytes");
    l.filled_bytes = size_of(object, "filled_bytes");
    l.f16_bytes = size_of(object, "f16_bytes");
    l.read_bytes_per_second = std::max(0.0, object.number("read_bytes_per_second").value_or(0));
    l.prompt_read = object.number("prompt_read").value_or(1);
    l.keys_read = object.number("keys_read").value_or(1);
    l.moved_bytes = size_of(object, "moved_bytes");
    l.index_bytes = size_of(object, "index_bytes");
    l.weight_bytes = size_of(object, "weight_bytes");
    const auto depths = object.find("depths");
    for (size_t i = 0; depths && i < depths->size(); ++i) {
      const file::JsonView d = depths->element(i);
      l.depths.push_back(
          {count(d, "depth"), positive_of(d, "step_seconds"), size_of(d, "moved_bytes")});
    }
    const auto batches = object.find("batches");
    for (size_t i = 0; batches && i < batches->size(); ++i) {
      const file::JsonView b = batches->element(i);
      l.batches.push_back({size_of(b, "sequences"), b.require("step_seconds").as_number()});
    }
  });
  return out;
}

namespace {

// Medians at every depth of the policy's lines; a length is a depth of its own.
std::vector<DepthCost> summarize_depths(std::span<const CostLine> lines, std::string_view policy) {
  std::map<size_t, std::vector<DepthCost>> by_depth;
  for (const CostLine& l : lines) {
    if (l.policy != policy) continue;
    by_depth[l.length].push_back({l.length, l.step_seconds, l.moved_bytes});
    for (const DepthCost& d : l.depths) by_depth[d.depth].push_back(d);
  }
  std::vector<DepthCost> out;
  for (const auto& [depth, costs] : by_depth) {
    std::vector<double> steps, moved;
    for (const DepthCost& d : costs) {
      steps.push_back(d.step_seconds);
      moved.push_back(double(d.moved_bytes));
    }
    out.push_back({depth, median(steps), static_cast<size_t>(median(moved))});
  }
  return out;
}

}  // namespace

std::optional<CostSummary> summarize_costs(std::span<const CostLine> lines,
                                           std::string_view policy) {
  std::vector<const CostLine*> own;
  for (const CostLine& l : lines) {
    if (l.policy != policy || (!own.empty() && l.length < own[0]->length)) continue;
    if (!own.empty() && l.length > own[0]->length) own.clear();
    own.push_back(&l);
  }
  if (own.empty()) return std::nullopt;
  const auto values = [&](auto member) {
    std::vector<double> out;
    for (const CostLine* l : own) out.push_back(double(l->*member));
    std::sort(out.begin(), out.end());
    return out;
  };
  CostSummary s;
  s.length = own[0]->length;
  s.runs = own.size();
  s.steps = own[0]->steps;
  const auto first = values(&CostLine::first_token_seconds);
  s.first_token_seconds = median(first);
  s.first_token_least = first.front();
  s.first_token_most = first.back();
  s.warm_seconds = median(values(&CostLine::warm_seconds));
  const auto step = values(&CostLine::step_seconds);
  s.step_seconds = median(step);
  s.step_least = step.front();
  s.step_most = step.back();
  s.step_p99 = median(values(&CostLine::step_p99));
  s.kv_bytes = median(values(&CostLine::kv_bytes));
  s.peak_kv_bytes = median(values(&CostLine::peak_kv_bytes));
  s.side_bytes = median(values(&CostLine::side_bytes));
  s.allocated_bytes = median(values(&CostLine::allocated_bytes));
  s.filled_bytes = median(values(&CostLine::filled_bytes));
  s.f16_bytes = median(values(&CostLine::f16_bytes));
  s.read_bytes_per_second = median(values(&CostLine::read_bytes_per_second));
  s.prompt_read = median(values(&CostLine::prompt_read));
  s.keys_read = median(values(&CostLine::keys_read));
  s.moved_bytes = median(values(&CostLine::moved_bytes));
  s.index_bytes = median(values(&CostLine::index_bytes));
  s.weight_bytes = median(values(&CostLine::weight_bytes));
  s.depths = summarize_depths(lines, policy);
  for (const size_t sequences : kBatches) {
    std::vector<double> batch;
    for (const CostLine* l : own) {
      for (const BatchCost& b : l->batches) {
        if (b.sequences == sequences) batch.push_back(b.step_seconds);
      }
    }
    if (!batch.empty()) s.batches.push_back({sequences, median(batch)});
  }
  return s;
}

std::optional<double> CostSummary::share_of_f16() const {
  return f16_bytes > 0 ? std::optional(bytes_per_token() / f16_bytes) : std::nullopt;
}

std::optional<double> CostSummary::fragmentation() const {
  return filled_bytes > 0 ? std::optional(allocated_bytes / filled_bytes) : std::nullopt;
}

std::optional<double> CostSummary::roofline_seconds() const {
  if (read_bytes_per_second <= 0 || moved_bytes <= 0) return std::nullopt;
  return (moved_bytes + weight_bytes) / read_bytes_per_second;
}

std::optional<double> CostSummary::bandwidth_use() const {
  const auto least = roofline_seconds();
  return least ? std::optional(*least / step_seconds) : std::nullopt;
}

std::optional<double> break_even(const CostSummary& other, const CostSummary& policy) {
  const double more = policy.first_token_seconds - other.first_token_seconds;
  const double less = other.question_seconds() - policy.question_seconds();
  if (more <= 0 && less >= 0) return 0;
  if (more > 0 && less > 0) return more / less;
  return std::nullopt;
}

std::string break_even_text(const CostSummary& other, const CostSummary& policy) {
  if (const auto even = break_even(other, policy)) return fmt::format("{:.0f}", std::ceil(*even));
  const double less = other.first_token_seconds - policy.first_token_seconds;
  if (less <= 0) return "never";
  const double more = policy.question_seconds() - other.question_seconds();
  return fmt::format("up to {:.0f}", std::floor(less / more));
}

}  // namespace fathom::eval
