#include "eval/steadiness.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "eval/controls.h"
#include "eval/json_lines.h"
#include "eval/prose.h"
#include "eval/random.h"
#include "eval/sequence.h"

namespace fathom::eval {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr size_t kRead = 512, kSteps = 32;
constexpr size_t kLeastRuns = 3, kMostRuns = 100;
constexpr double kSecondsOfRuns = 1;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void keep_least(double& least, double seconds) {
  if (least == 0 || seconds < least) least = seconds;
}

std::string bytes_of(std::span<const float> logits) {
  return {reinterpret_cast<const char*>(logits.data()), logits.size_bytes()};
}

// One run; the hash of what came out.
uint64_t run_once(const Subject& subject, std::span<const engine::TokenId> text, ProbeLine& line) {
  Sequence sequence(*subject.engine);
  auto start = Clock::now();
  sequence.read(text);
  keep_least(line.read_seconds, seconds_since(start));
  uint64_t hash = seed_of(bytes_of(sequence.logits()));
  std::vector<double> steps;
  for (size_t i = 0; i < line.steps; ++i) {
    const engine::TokenId next = likeliest(sequence.logits());
    start = Clock::now();
    sequence.append({&next, 1});
    steps.push_back(seconds_since(start));
    hash = mix_seeds({hash, static_cast<uint64_t>(next), seed_of(bytes_of(sequence.logits()))});
  }
  // A single step may be quick by luck.
  std::sort(steps.begin(), steps.end());
  keep_least(line.step_seconds, steps[steps.size() / 2]);
  return hash;
}

// Of times, against the first; the change that is largest in either direction.
std::optional<double> change_of(std::span<const ProbeLine* const> probes,
                                double ProbeLine::*seconds) {
  const double first = probes[0]->*seconds;
  std::optional<double> out;
  for (const ProbeLine* p : probes.subspan(1)) {
    if (first <= 0 || p->*seconds <= 0) continue;
    const double change = p->*seconds / first - 1;
    if (!out || std::abs(change) > std::abs(*out)) out = change;
  }
  return out;
}

std::string change_text(const char* what, double change) {
  return fmt::format("{} {:+.1f} %", what, 100 * change);
}

}  // namespace

ProbeLine measure_probe(const engine::Engine& model, bool timed) {
  const Subject subject = make_subject(model, "prefill=dense keep=all store=f16 fetch=all");
  ProbeLine out;
  out.read = std::min(kRead, model.context() / 2);
  out.steps = std::min(kSteps, out.read);
  const auto text = prose_windows(model, Library(), 1, out.read, 1)[0].tokens;
  const auto start = Clock::now();
  std::optional<uint64_t> hash;
  for (size_t run = 0; run < (timed ? kMostRuns : 1); ++run) {
    const uint64_t again = run_once(subject, text, out);
    // A run that differs within a probe differs from every other probe.
    hash = hash && *hash != again ? mix_seeds({*hash, again}) : again;
    if (run + 1 >= kLeastRuns && seconds_since(start) >= kSecondsOfRuns) break;
  }
  out.output = fmt::format("{:016x}", *hash);
  if (!timed) out.read_seconds = out.step_seconds = 0;
  return out;
}

std::string probe_line(const ProbeLine& l) {
  const Json json = {{"model", l.model},
                     {"when", l.when},
                     {"read", l.read},
                     {"steps", l.steps},
                     {"read_seconds", l.read_seconds},
                     {"step_seconds", l.step_seconds},
                     {"output", l.output}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<ProbeLine> parse_probes(std::string_view text, const std::string& source) {
  std::vector<ProbeLine> out;
  each_json_line(text, source, [&](const file::JsonView& object) {
    ProbeLine& l = out.emplace_back();
    l.model = object.text("model").value_or("");
    l.when = object.text("when").value_or("");
    l.read = size_of(object, "read");
    l.steps = size_of(object, "steps");
    l.output = object.require_text("output");
    for (const auto& [key, value] : {std::pair{"read_seconds", &ProbeLine::read_seconds},
                                     std::pair{"step_seconds", &ProbeLine::step_seconds}}) {
      l.*value = object.number(key).value_or(0);
      if (l.*value < 0) throw bad_file(object.source(), "'{}' is {}, below 0", key, l.*value);
    }
  });
  return out;
}

bool Steadiness::same_speed() const {
  return std::abs(read_change.value_or(0)) <= kMostSpeedChange &&
         std::abs(step_change.value_or(0)) <= kMostSpeedChange;
}

std::optional<Steadiness> steadiness_of(std::span<const ProbeLine> probes) {
  std::vector<const ProbeLine*> same;
  for (const ProbeLine& p : probes) {
    const ProbeLine& first = probes[0];
    if (p.model == first.model && p.read == first.read && p.steps == first.steps)
      same.push_back(&p);
  }
  if (same.size() < 2) return std::nullopt;
  Steadiness out;
  out.probes = same.size();
  for (const ProbeLine* p : same) out.same_output &= p->output == same[0]->output;
  out.read_change = change_of(same, &ProbeLine::read_seconds);
  out.step_change = change_of(same, &ProbeLine::step_seconds);
  return out;
}

std::string steadiness_text(const Steadiness& s) {
  if (!s.same_output) {
    return "REJECT THIS RUN: dense attention gave another output than at its start. The same text "
           "and model must give the same bits: look for bad memory, another machine or another "
           "build.";
  }
  std::string out = "dense attention before and after: the same output";
  if (s.read_change) out += "; time of " + change_text("reading", *s.read_change);
  if (s.step_change) out += ", " + change_text("a token", *s.step_change);
  if (s.same_speed()) return out;
  return "warning: " + out +
         fmt::format(
             ". More than {:.0f} %: do not trust this run's times; measure again on a "
             "machine that does nothing else",
             100 * kMostSpeedChange);
}

nlohmann::ordered_json steadiness_json(const Steadiness& s) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(); };
  return {{"probes", s.probes},
          {"rejected", !s.same_output},
          {"same_output", s.same_output},
          {"read_time_change", or_null(s.read_change)},
          {"step_time_change", or_null(s.step_change)},
          {"most_change", kMostSpeedChange},
          {"same_speed", s.same_speed()}};
}

}  // namespace fathom::eval
