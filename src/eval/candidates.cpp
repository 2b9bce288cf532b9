#include "eval/candidates.h"

#include <algorithm>
#include <cctype>

#include "eval/random.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"
#include "eval/task_score.h"

namespace fathom::eval {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

std::string word_shape(std::string_view word) {
  const auto count = [&](auto test) {
    return static_cast<size_t>(std::count_if(word.begin(), word.end(), test));
  };
  const size_t digits = count(digit), n = word.size();
  const size_t hex = count([](char c) { return digit(c) || (c >= 'a' && c <= 'f') || c == '-'; });
  if (digits == n) return "d" + std::to_string(n);
  if (digits > 0 && hex == n) return "h" + std::to_string(n);
  if (count(upper) == n) return "U" + std::to_string(n);
  return upper(word[0]) ? "A" : "a";
}

class Choices {
 public:
  explicit Choices(std::string right) : shape_(shape_of(right)), out_{std::move(right)} {}

  bool full() const { return out_.size() >= kMostCandidates; }
  void add(std::string_view text) {
    if (full() || shape_of(text) != shape_) return;
    if (std::find(out_.begin(), out_.end(), text) == out_.end()) out_.emplace_back(text);
  }
  // Words of a shape that plain prose does not have, from all over the text.
  void add_from(std::string_view text, Random random) {
    if (shape_.find_first_of("dhU") == std::string::npos || shape_.find(' ') != std::string::npos) {
      return;
    }
    std::vector<std::string_view> words;
    for (const std::string_view w : words_of(text)) {
      if (word_shape(w) == shape_) words.push_back(w);
    }
    random.shuffle(words);
    for (const std::string_view w : words) add(w);
  }
  std::vector<std::string> take() { return std::move(out_); }

 private:
  std::string shape_;
  std::vector<std::string> out_;
};

// The letters, or the texts, that a multiple choice offers; the right one first.
std::vector<std::string> choice_of_options(const Turn& turn) {
  std::vector<std::string> out = {turn.answers[0]};
  const bool letters = turn.answers[0].size() == 1 && upper(turn.answers[0][0]);
  for (size_t i = 0; i < turn.options.size(); ++i) {
    const std::string option =
        letters ? std::string(1, static_cast<char>('A' + i)) : turn.options[i];
    if (option != turn.answers[0]) out.push_back(option);
  }
  return out;
}

constexpr size_t kLongestAnswer = 80;  // characters

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && word_character(text[end])) ++end;
    if (end > i) out.push_back(text.substr(i, end - i));
    i = std::max(end, i + 1);
  }
  return out;
}

std::string shape_of(std::string_view text) {
  std::string out;
  for (const std::string_view w : words_of(text)) {
    if (!out.empty()) out += ' ';
    out += word_shape(w);
  }
  return out;
}

std::vector<std::string> candidates(const Instance& instance, size_t turn,
                                    std::span<const Instance> others) {
  const Turn& t = instance.turns[turn];
  if (!one_gold(instance, turn) || t.answers.empty() || t.answers[0].size() > kLongestAnswer) {
    return {};
  }
  if (!t.options.empty()) return choice_of_options(t);
  Choices choices(t.answers[0]);
  const auto add_turns = [&](const Instance& from) {
    for (const Turn& other : from.turns) {
      if (&other == &t || from.task_of(other) != instance.task_of(t)) continue;
      if (other.answers.size() != 1 || !other.options.empty()) continue;
      choices.add(other.answers[0]);
    }
  };
  add_turns(instance);
  choices.add_from(instance.context, Random(mix_seeds({instance.seed, turn})));
  for (const Instance& other : others) {
    if (choices.full()) break;
    if (other.suite == instance.suite && other.task == instance.task && other.id != instance.id) {
      add_turns(other);
    }
  }
  return choices.take();
}

}  // namespace fathom::eval
