// ROUGE-Lsum, as Google's rouge_score defines it without a stemmer: tokens are runs of [a-z0-9] of
// the lowered text, sentences are lines.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using Sentence = std::vector<std::string>;

// Cells of one table of common subsequences: 256 MiB.
constexpr size_t kMostCells = size_t{1} << 26;

Sentence tokens(std::string_view line) {
  std::string folded = lower(line);
  for (char& c : folded) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = ' ';
  }
  Sentence out;
  for (const std::string_view t : split(folded, " ")) out.emplace_back(t);
  return out;
}

std::vector<Sentence> sentences(std::string_view text) {
  std::vector<Sentence> out;
  for (const std::string_view line : split(text, "\n")) {
    if (Sentence s = tokens(line); !s.empty()) out.push_back(std::move(s));
  }
  return out;
}

// lengths[i][j]: of the longest common subsequence of a's first i and b's first j tokens.
class LcsTable {
 public:
  LcsTable(const Sentence& a, const Sentence& b)
      : columns_(b.size() + 1), lengths_((a.size() + 1) * columns_) {
    for (size_t i = 1; i <= a.size(); ++i) {
      for (size_t j = 1; j <= b.size(); ++j) {
        cell(i, j) = a[i - 1] == b[j - 1] ? cell(i - 1, j - 1) + 1
                                          : std::max(cell(i - 1, j), cell(i, j - 1));
      }
    }
  }
  uint32_t& cell(size_t i, size_t j) { return lengths_[i * columns_ + j]; }

 private:
  size_t columns_;
  std::vector<uint32_t> lengths_;
};

// Marks the tokens of `reference` that one longest common subsequence uses.
void mark_common(const Sentence& reference, const Sentence& output, std::vector<bool>& used) {
  if ((reference.size() + 1) * (output.size() + 1) > kMostCells) {
    throw Error(ErrorCode::kTooLong, "rougeLsum",
                fmt::format("lines of {} and {} words are too long to compare", reference.size(),
                            output.size()));
  }
  LcsTable table(reference, output);
  for (size_t i = reference.size(), j = output.size(); i > 0 && j > 0;) {
    if (reference[i - 1] == output[j - 1]) {
      used[--i] = true;
      --j;
    } else if (table.cell(i, j - 1) > table.cell(i - 1, j)) {
      --j;
    } else {
      --i;
    }
  }
}

using Counts = std::map<std::string_view, size_t>;
Counts counts_of(const std::vector<Sentence>& text) {
  Counts counts;
  for (const Sentence& s : text) {
    for (const std::string& t : s) ++counts[t];
  }
  return counts;
}

size_t length(const std::vector<Sentence>& text) {
  size_t n = 0;
  for (const Sentence& s : text) n += s.size();
  return n;
}

// Common tokens, each counted at most as often as both texts have it.
size_t union_hits(const std::vector<Sentence>& reference, const std::vector<Sentence>& output) {
  Counts left_reference = counts_of(reference), left_output = counts_of(output);
  size_t hits = 0;
  for (const Sentence& r : reference) {
    std::vector<bool> used(r.size());
    for (const Sentence& o : output) mark_common(r, o, used);
    for (size_t i = 0; i < r.size(); ++i) {
      if (!used[i] || left_reference[r[i]] == 0 || left_output[r[i]] == 0) continue;
      --left_reference[r[i]];
      --left_output[r[i]];
      ++hits;
    }
  }
  return hits;
}

double rouge_lsum(std::string_view reference_text, const std::vector<Sentence>& output) {
  const std::vector<Sentence> reference = sentences(reference_text);
  const double hits = double(union_hits(reference, output));
  if (hits == 0) return 0;
  return 2 * hits / double(length(reference) + length(output));
}

}  // namespace

double score_rouge_lsum(const Judged& j) {
  const std::vector<Sentence> output = sentences(j.output);
  double best = 0;
  for (const std::string& gold : j.golds) best = std::max(best, rouge_lsum(gold, output));
  return best;
}

}  // namespace fathom::eval
