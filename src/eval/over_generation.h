// Which share of the values that answers name was asked for, and who names too many
// (named_items.h).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "eval/named_items.h"

namespace fathom::eval {

struct Report;
struct PolicyReport;

struct NamedSummary {
  size_t answers = 0;    // to questions for values
  size_t naming = 0;     // that name any of the kind
  size_t too_many = 0;   // flagged
  double precision = 0;  // sum over those that name any: golds among what they name

  void add(const NamedItems& named);
  void add(const NamedSummary& other);
  // Mean over the answers that name any; 1 where none does.
  double mean_precision() const { return naming > 0 ? precision / double(naming) : 1; }
};

// Over the policy's cells that are judged by answers.
NamedSummary named_summary(const PolicyReport& policy);
nlohmann::ordered_json named_json(const NamedSummary& summary);
std::string named_text(const Report& report);  // "" where nobody was asked for values

}  // namespace fathom::eval
