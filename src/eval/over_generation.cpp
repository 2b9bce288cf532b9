#include "eval/over_generation.h"

#include "base/error.h"
#include "eval/report.h"

namespace fathom::eval {

void NamedSummary::add(const NamedItems& named) {
  ++answers;
  too_many += named.too_many();
  if (named.items == 0) return;
  ++naming;
  precision += double(named.right) / double(named.items);
}

void NamedSummary::add(const NamedSummary& other) {
  answers += other.answers;
  naming += other.naming;
  too_many += other.too_many;
  precision += other.precision;
}

NamedSummary named_summary(const PolicyReport& policy) {
  NamedSummary out;
  for (const Cell& c : policy.cells) {
    if (c.measure == Measure::kAnswer) out.add(c.named);
  }
  return out;
}

nlohmann::ordered_json named_json(const NamedSummary& s) {
  return {{"answers", s.answers},
          {"naming_any", s.naming},
          {"precision", s.naming > 0 ? nlohmann::ordered_json(s.mean_precision()) : nullptr},
          {"naming_too_many", s.too_many}};
}

std::string named_text(const Report& report) {
  std::string out;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const NamedSummary s = named_summary(report.policies[i]);
    if (s.answers == 0) continue;
    out += fmt::format(
        "({}) {:.1f} % of the values named were asked for; {} of {} answers name more than two "
        "others\n",
        i + 1, 100 * s.mean_precision(), s.too_many, s.answers);
  }
  return out.empty() ? "" : "\n" + out;
}

}  // namespace fathom::eval
