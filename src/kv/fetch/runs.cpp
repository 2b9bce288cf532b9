#include "kv/fetch/runs.h"

#include <algorithm>

namespace fathom::kv {

void add_run(size_t first, size_t end, Runs& runs) {
  if (first >= end) return;
  const Run run{static_cast<int32_t>(first), static_cast<int32_t>(end)};
  if (!runs.empty() && run.first <= runs.back().end) {
    runs.back().end = std::max(runs.back().end, run.end);
  } else {
    runs.push_back(run);
  }
}

void add_tokens(std::span<const int32_t> tokens, Runs& runs) {
  for (const int32_t t : tokens) add_run(static_cast<size_t>(t), static_cast<size_t>(t) + 1, runs);
}

void add_blocks(std::span<const int32_t> numbers, size_t block, size_t tokens, Runs& runs) {
  for (const int32_t b : numbers) {
    const size_t first = static_cast<size_t>(b) * block;
    add_run(first, std::min(first + block, tokens), runs);
  }
}

void sort_runs(Runs& runs) {
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
  Runs joined;
  for (const Run& r : runs) {
    add_run(static_cast<size_t>(r.first), static_cast<size_t>(r.end), joined);
  }
  runs.swap(joined);
}

Runs all_of(size_t tokens) {
  Runs runs;
  add_run(0, tokens, runs);
  return runs;
}

size_t keys_read(const Runs& runs) {
  size_t keys = 0;
  for (const Run& r : runs) keys += static_cast<size_t>(r.end - r.first);
  return keys;
}

void choose_blocks(std::span<const float> scores, const BlockRule& rule, TopK& best,
                   std::vector<int32_t>& chosen) {
  const size_t n = scores.size();
  const size_t count = std::min(rule.count, n);
  const size_t last = std::min(rule.last, count);
  const size_t first = std::min(rule.first, count - last);
  chosen.clear();
  for (size_t b = 0; b < first; ++b) chosen.push_back(static_cast<int32_t>(b));
  best.append(scores.subspan(first, n - first - last), count - first - last,
              static_cast<int32_t>(first), chosen);
  for (size_t b = n - last; b < n; ++b) chosen.push_back(static_cast<int32_t>(b));
}

}  // namespace fathom::kv
