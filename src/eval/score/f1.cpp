// F1 of bags of tokens.
#include <algorithm>
#include <map>

#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using Tokens = std::vector<std::string>;

Tokens words(std::string_view text) {
  std::string kept;
  for (const std::string& c : characters(lower(text))) {
    // SQuAD drops ASCII punctuation only.
    if (c.size() > 1 || !is_punctuation(c)) kept += c;
  }
  Tokens out;
  for (const std::string_view w : split(kept, " \t\n\r\f\v")) {
    if (w != "a" && w != "an" && w != "the") out.emplace_back(w);
  }
  return out;
}

Tokens letters(std::string_view text) {
  Tokens out;
  for (std::string& c : characters(lower(text))) {
    if (!is_punctuation(c) && !is_space(c)) out.push_back(std::move(c));
  }
  return out;
}

double f1(const Tokens& output, const Tokens& gold) {
  std::map<std::string_view, size_t> left;
  for (const std::string& t : gold) ++left[t];
  size_t same = 0;
  for (const std::string& t : output) {
    const auto it = left.find(t);
    if (it == left.end() || it->second == 0) continue;
    --it->second;
    ++same;
  }
  if (same == 0) return 0;
  return 2.0 * double(same) / double(output.size() + gold.size());
}

double best_f1(const Judged& j, Tokens (*tokens)(std::string_view)) {
  const Tokens output = tokens(j.output);
  double best = 0;
  for (const std::string& gold : j.golds) best = std::max(best, f1(output, tokens(gold)));
  return best;
}

}  // namespace

double score_f1_word(const Judged& j) { return best_f1(j, words); }
double score_f1_char(const Judged& j) { return best_f1(j, letters); }

}  // namespace fathom::eval
