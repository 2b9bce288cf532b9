#include "eval/needle_grid.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fathom::eval {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string mean(double sum, size_t n) {
  return n > 0 ? fmt::format("{:.4f}", sum / double(n)) : "";
}

}  // namespace

size_t nearest_tenth(double depth) {
  return static_cast<size_t>(std::lround(10 * std::clamp(depth, 0.0, 1.0)));
}

NeedleGrid needle_grid(std::span<const ResultLine> lines) {
  NeedleGrid out;
  for (const ResultLine& l : lines) {
    if (l.suite != "needle" || l.depth < 0) continue;
    if (l.mode == kClosedBook || l.mode == kGoldRemoved) continue;
    const QueryResult& r = l.result;
    NeedleCell& c =
        out[{l.policy, l.mode, l.suite + "/" + l.task, l.length, nearest_tenth(l.depth)}];
    if (r.generated) {
      c.score += r.score;
      ++c.n;
    }
    if (r.rouge_l) {
      c.rouge += *r.rouge_l;
      ++c.rouges;
    }
    if (r.chosen) {
      c.choice += *r.chosen ? 1 : 0;
      ++c.choices;
    }
  }
  return out;
}

std::string needle_csv(const NeedleGrid& grid) {
  if (grid.empty()) return "";
  std::string out = "policy,mode,task,length,depth,score,n,rouge_l,choice,choice_n\n";
  for (const auto& [key, c] : grid) {
    const auto& [policy, mode, task, length, tenth] = key;
    out += fmt::format("{},{},{},{},{},{},{},{},{},{}\n", quoted(policy), quoted(mode),
                       quoted(task), length, 10 * tenth, mean(c.score, c.n), c.n,
                       mean(c.rouge, c.rouges), mean(c.choice, c.choices), c.choices);
  }
  return out;
}

}  // namespace fathom::eval
