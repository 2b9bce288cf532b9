// A letter out of a multiple-choice answer.
//
// In this order: the first character, if it is A-D and no letter follows it; an option's text as
// the whole output; what follows "answer is", "option is" or "answer:"; the first A-D that stands
// alone.
#include <algorithm>
#include <cctype>
#include <optional>

#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

constexpr size_t kLetters = 4;

bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool part_of_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_choice(char c) { return c >= 'A' && c < static_cast<char>('A' + kLetters); }

// The letter at the beginning, if no other letter follows it.
std::optional<char> leading_letter(std::string_view text) {
  if (text.empty() || !is_choice(text[0])) return std::nullopt;
  if (text.size() > 1 && letter(text[1])) return std::nullopt;
  return text[0];
}

std::optional<char> option_equal_to(const Judged& j, std::string_view text) {
  const auto it = std::find_if(j.options.begin(), j.options.end(),
                               [&](const std::string& o) { return trim(o) == text; });
  if (it == j.options.end()) return std::nullopt;
  return static_cast<char>('A' + (it - j.options.begin()));
}

// The longest option that the text begins with.
std::optional<char> option_beginning(const Judged& j, std::string_view text) {
  std::optional<char> best;
  size_t longest = 0;
  for (size_t i = 0; i < j.options.size(); ++i) {
    const std::string option = lower(trim(j.options[i]));
    if (option.size() <= longest || lower(text).rfind(option, 0) != 0) continue;
    longest = option.size();
    best = static_cast<char>('A' + i);
  }
  return best;
}

std::optional<char> after_lead_in(const Judged& j) {
  const std::string folded = lower(j.output);
  if (folded.size() != j.output.size()) return std::nullopt;  // positions would not agree
  for (const std::string_view lead : {"answer is", "option is", "answer:"}) {
    const size_t at = folded.find(lead);
    if (at == std::string::npos) continue;
    std::string_view rest = j.output.substr(at + lead.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n:(\"'*"), rest.size()));
    if (const auto found = leading_letter(rest)) return found;
    if (const auto found = option_beginning(j, rest)) return found;
  }
  return std::nullopt;
}

std::optional<char> first_alone(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool free_before = i == 0 || !part_of_word(text[i - 1]);
    const bool free_after = i + 1 == text.size() || !part_of_word(text[i + 1]);
    if (is_choice(text[i]) && free_before && free_after) return text[i];
  }
  return std::nullopt;
}

std::optional<char> decide(const Judged& j) {
  const std::string_view output = trim(j.output);
  if (const auto found = leading_letter(output)) return found;
  if (const auto found = option_equal_to(j, output)) return found;
  if (const auto found = after_lead_in(j)) return found;
  return first_alone(output);
}

}  // namespace

double score_choice(const Judged& j) {
  const std::optional<char> decided = decide(j);
  if (!decided) return 0;
  return std::any_of(j.golds.begin(), j.golds.end(), [&](const std::string& gold) {
    // A gold that is one of the options' texts names it; else it is the letter itself.
    const auto named = option_equal_to(j, trim(gold));
    return named ? *named == *decided : gold == std::string(1, *decided);
  });
}

}  // namespace fathom::eval
