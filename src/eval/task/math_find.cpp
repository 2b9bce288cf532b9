// SCBench's Math.Find: a list of integers; every turn asks another statistic of it. Ranks are over
// distinct values. The range is drawn too: else the extremes of a long list are always the same.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"

namespace fathom::eval {
namespace {

constexpr size_t kFewest = 25;  // odd, so that the list with pairs added has a median

struct Statistic {
  std::string_view name;
  // Of the distinct values, ascending, and of all values, ascending.
  int64_t (*of)(const std::vector<int64_t>& distinct, const std::vector<int64_t>& all);
};
using Values = std::vector<int64_t>;
constexpr Statistic kStatistics[] = {
    {"largest", [](const Values& d, const Values&) { return d.back(); }},
    {"smallest", [](const Values& d, const Values&) { return d.front(); }},
    {"second largest", [](const Values& d, const Values&) { return d[d.size() - 2]; }},
    {"second smallest", [](const Values& d, const Values&) { return d[1]; }},
    {"median", [](const Values&, const Values& a) { return a[a.size() / 2]; }},
};

std::string listed(std::span<const int64_t> values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    out += fmt::format("{}{}", i == 0 ? "" : ", ", values[i]);
  }
  return out + "]";
}

}  // namespace

Instance make_math_find(const Draw& draw) {
  Random facts = draw.facts(), haystack = draw.haystack();
  const int64_t low = facts.between(0, 99), high = facts.between(900, 998);
  std::vector<const Statistic*> asked;
  for (const Statistic& s : kStatistics) asked.push_back(&s);
  facts.shuffle(asked);
  asked.resize(std::min(asked.size(), draw.turns));
  Values values;
  return fit(draw, [&](size_t units, size_t) {
    const size_t n = kFewest + 2 * units;
    while (values.size() < n) values.push_back(haystack.between(low, high));
    Values all(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n));
    Instance out;
    out.instruction = "Below is a list of numbers. You will be asked about it afterwards.";
    out.context = listed(all);
    std::sort(all.begin(), all.end());
    Values distinct = all;
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const Statistic* s : asked) {
      Turn& turn = out.turns.emplace_back();
      turn.input = fmt::format("What is the {} number of the list?", s->name);
      turn.answer_prefix = fmt::format("The {} number is:", s->name);
      turn.answers = {std::to_string(s->of(distinct, all))};
    }
    return out;
  });
}

}  // namespace fathom::eval
