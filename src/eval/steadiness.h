// Whether a run can be trusted: dense attention reads and continues the same text before and after
// everything else. Where its output changed, the machine or the program is broken and the run is to
// be rejected; where its speed changed, so did that of the policies that were timed in between.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace fathom::eval {

inline constexpr double kMostSpeedChange = 0.03;

// One measurement of dense attention.
struct ProbeLine {
  std::string model, when;  // "start" or "end"
  size_t read = 0, steps = 0;
  // Of the quickest run; of its steps the median. 0: was not timed.
  double read_seconds = 0, step_seconds = 0;
  std::string output;  // a hash of tokens and logits
};

// Reads the same prose and continues it greedily; timed, several times over, where `timed` says so.
ProbeLine measure_probe(const engine::Engine& model, bool timed);

std::string probe_line(const ProbeLine& line);
// Errors are Error(kBadFile) naming file, line and field.
std::vector<ProbeLine> parse_probes(std::string_view text, const std::string& source);

// All probes of a model against its first.
struct Steadiness {
  size_t probes = 0;
  bool same_output = true;
  // The change that is largest in either direction, of times; nothing where they were not taken.
  std::optional<double> read_change, step_change;

  bool same_speed() const;
};
// Nothing for fewer than two probes of the first one's model.
std::optional<Steadiness> steadiness_of(std::span<const ProbeLine> probes);

// A sentence or two for people.
std::string steadiness_text(const Steadiness& s);
nlohmann::ordered_json steadiness_json(const Steadiness& s);

}  // namespace fathom::eval
