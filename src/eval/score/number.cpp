// Scorers that read a number out of the output. Numbers are compared as digits: they may be longer
// than any machine type.
#include <algorithm>

#include "eval/score/scorer.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kDigits = "0123456789";

std::string_view digits_at(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of(kDigits), text.size()));
}

std::string_view first_digits(std::string_view text) {
  const size_t at = text.find_first_of(kDigits);
  return at == std::string_view::npos ? std::string_view{} : digits_at(text.substr(at));
}

struct Number {
  std::string_view whole, fraction;  // without leading and trailing zeros

  bool operator==(const Number&) const = default;
};

Number number_of(std::string_view whole, std::string_view fraction) {
  whole.remove_prefix(std::min(whole.find_first_not_of('0'), whole.size()));
  const size_t last = fraction.find_last_not_of('0');
  return {whole, fraction.substr(0, last == std::string_view::npos ? 0 : last + 1)};
}

// REQUIRES: text begins with a digit.
Number number_at(std::string_view text) {
  const std::string_view whole = digits_at(text);
  std::string_view rest = text.substr(whole.size());
  if (rest.empty() || rest[0] != '.') return number_of(whole, {});
  return number_of(whole, digits_at(rest.substr(1)));
}

bool all_digits(std::string_view text) {
  return !text.empty() && digits_at(text).size() == text.size();
}

}  // namespace

double score_first_int(const Judged& j) {
  const std::string_view first = first_digits(j.output);
  return !first.empty() && std::find(j.golds.begin(), j.golds.end(), first) != j.golds.end();
}

double score_first_num(const Judged& j) {
  const size_t at = j.output.find_first_of(kDigits);
  if (at == std::string_view::npos) return 0;
  const Number found = number_at(j.output.substr(at));
  return std::any_of(j.golds.begin(), j.golds.end(), [&](const std::string& gold) {
    const size_t point = std::min(gold.find('.'), gold.size());
    const std::string_view whole = std::string_view(gold).substr(0, point);
    if (!all_digits(whole)) return false;
    if (point == gold.size()) return found.whole == number_at(whole).whole;
    return all_digits(std::string_view(gold).substr(point + 1)) && found == number_at(gold);
  });
}

}  // namespace fathom::eval
