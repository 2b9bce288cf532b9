// RepoQA: which function of a repository an output repeats.
#include <algorithm>
#include <cmath>
#include <map>

#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

constexpr size_t kLongestGram = 4;
constexpr double kAlike = 0.8;

using Tokens = std::vector<std::string_view>;

Tokens tokens_of(std::string_view text) { return split(text, " \t\n\r\f\v"); }

using GramCounts = std::map<std::vector<std::string_view>, size_t>;
GramCounts grams(const Tokens& tokens, size_t n) {
  GramCounts counts;
  for (size_t i = 0; i + n <= tokens.size(); ++i) {
    ++counts[Tokens(tokens.begin() + static_cast<std::ptrdiff_t>(i),
                    tokens.begin() + static_cast<std::ptrdiff_t>(i + n))];
  }
  return counts;
}

size_t clipped_matches(const Tokens& candidate, const Tokens& reference, size_t n) {
  const GramCounts wanted = grams(reference, n);
  size_t matches = 0;
  for (const auto& [gram, count] : grams(candidate, n)) {
    const auto it = wanted.find(gram);
    if (it != wanted.end()) matches += std::min(count, it->second);
  }
  return matches;
}

std::string_view fenced_block(std::string_view output) {
  constexpr std::string_view kFence = "```";
  const size_t open = output.find(kFence);
  if (open == std::string_view::npos) return output;
  const size_t line = output.find('\n', open);  // what stands behind the fence is a language
  if (line == std::string_view::npos) return output.substr(open + kFence.size());
  const std::string_view body = output.substr(line + 1);
  return body.substr(0, std::min(body.find(kFence), body.size()));
}

// Up to the brace that closes the first one opened; all where there is none.
std::string_view braced(std::string_view code) {
  size_t depth = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i] == '{') ++depth;
    if (code[i] == '}' && depth > 0 && --depth == 0) return code.substr(0, i + 1);
  }
  return code;
}

size_t indent_of(std::string_view line) {
  return std::min(line.find_first_not_of(" \t"), line.size());
}

bool begins_def(std::string_view line) {
  const std::string_view text = line.substr(indent_of(line));
  return text.starts_with("def ") || text.starts_with("async def ");
}

// The first Python function: from its `def` to the last line that is indented deeper.
std::string_view python_function(std::string_view code) {
  size_t begin = std::string_view::npos, end = 0, depth = 0;
  for (size_t at = 0; at < code.size();) {
    const size_t next = std::min(code.find('\n', at), code.size() - 1) + 1;
    const std::string_view line = code.substr(at, next - at);
    const bool blank = trim(line).empty();
    if (begin == std::string_view::npos && begins_def(line)) {
      begin = at;
      depth = indent_of(line);
      end = next;
    } else if (begin != std::string_view::npos && !blank) {
      const bool closes_signature = trim(line).starts_with(")");
      if (indent_of(line) <= depth && !closes_signature) break;
      end = next;
    }
    at = next;
  }
  return begin == std::string_view::npos ? std::string_view{} : code.substr(begin, end - begin);
}

}  // namespace

double bleu(std::string_view candidate_text, std::string_view reference_text) {
  const Tokens candidate = tokens_of(candidate_text), reference = tokens_of(reference_text);
  if (clipped_matches(candidate, reference, 1) == 0) return 0;
  const double length = double(candidate.size());
  double log_precision = 0, halvings = 1;
  for (size_t n = 1; n <= kLongestGram; ++n) {
    const double total = candidate.size() >= n ? double(candidate.size() - n + 1) : 1;
    double matches = double(clipped_matches(candidate, reference, n));
    if (matches == 0 && length > 1) {
      matches = std::log(length) / (std::pow(2.0, halvings++) * 5);
    }
    if (matches == 0) return 0;
    log_precision += std::log(matches / total) / double(kLongestGram);
  }
  const double brevity = std::min(0.0, 1 - double(reference.size()) / length);
  return std::exp(brevity + log_precision);
}

std::string_view first_function(std::string_view output) {
  const std::string_view code = fenced_block(output);
  const std::string_view python = python_function(code);
  return trim(!python.empty() ? python : braced(code));
}

double score_bleu80(const Judged& j) {
  const std::string_view function = first_function(j.output);
  double best = 0;
  for (const std::string& gold : j.golds) best = std::max(best, bleu(function, gold));
  if (best < kAlike) return 0;
  return std::none_of(j.rivals.begin(), j.rivals.end(),
                      [&](const std::string& rival) { return bleu(function, rival) > best; });
}

}  // namespace fathom::eval
