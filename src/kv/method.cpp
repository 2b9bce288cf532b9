#include "kv/method.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace fathom::kv {
namespace {

// Insertions, deletions, replacements and swaps of neighbours that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const size_t bar = std::min(choices.find('|'), choices.size());
    if (choices.substr(0, bar) == value) return true;
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return false;
}

double to_number(std::string_view text, bool& ok) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  ok = end.ec == std::errc{} && end.ptr == text.data() + text.size();
  return value;
}

void check(const ParameterInfo& p, const std::string& value, std::string_view where) {
  if (p.choices == kAnyText) return;
  if (!p.choices.empty()) {
    if (is_choice(p.choices, value)) return;
    throw with_hint(usage_error(where, "'{}' cannot be '{}'", p.name, value),
                    fmt::format("one of {}", p.choices));
  }
  bool ok = false;
  const double number = to_number(value, ok);
  if (!ok || !(number >= p.low && number <= p.high)) {
    throw with_hint(usage_error(where, "'{}' cannot be '{}'", p.name, value),
                    fmt::format("a number from {} to {}; {}", p.low, p.high, p.help));
  }
}

}  // namespace

std::string_view stage_name(Stage stage) {
  static constexpr std::string_view kNames[kStages] = {"prefill", "keep", "store", "fetch"};
  return kNames[static_cast<size_t>(stage)];
}

Parameters::Parameters(const MethodInfo& info, const std::map<std::string, std::string>& typed,
                       std::string_view where)
    : info_(&info) {
  for (const ParameterInfo& p : info.parameters) values_.emplace(p.name, p.value);
  for (const auto& entry : typed) {  // no structured binding: the lambda below captures the name
    const std::string &name = entry.first, &value = entry.second;
    const auto p = std::find_if(info.parameters.begin(), info.parameters.end(),
                                [&](const ParameterInfo& known) { return known.name == name; });
    if (p == info.parameters.end()) {
      std::vector<std::string_view> known;
      for (const ParameterInfo& i : info.parameters) known.push_back(i.name);
      const std::string near = nearest(name, known);
      const std::string guess = near.empty() ? "" : fmt::format("did you mean '{}'? ", near);
      throw with_hint(usage_error(where, "'{}' has no parameter '{}'", info.name, name),
                      known.empty() ? "it has none"
                                    : fmt::format("{}known: {}", guess, fmt::join(known, ", ")));
    }
    check(*p, value, where);
    values_.find(name)->second = value;
  }
}

const std::string& Parameters::text(std::string_view name) const {
  const auto found = values_.find(name);
  FATHOM_CHECK(found != values_.end());
  return found->second;
}

double Parameters::number(std::string_view name) const {
  bool ok = false;
  const double value = to_number(text(name), ok);
  FATHOM_CHECK(ok);
  return value;
}

size_t Parameters::count(std::string_view name) const {
  const double value = number(name);
  if (value != std::floor(value)) {
    throw with_hint(usage_error("--kv", "'{}' of '{}' cannot be '{}'", name, info_->name, value),
                    "it is a whole number");
  }
  return static_cast<size_t>(value);
}

std::string Parameters::line() const {
  std::string out(info_->name);
  for (size_t i = 0; i < info_->parameters.size(); ++i) {
    const std::string_view name = info_->parameters[i].name;
    out += fmt::format("{}{}={}", i == 0 ? "(" : ",", name, text(name));
  }
  if (!info_->parameters.empty()) out += ")";
  return out;
}

std::string nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.size() > 64) return "";
  std::string_view best;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return std::string(best);
}

}  // namespace fathom::kv
