// RULER's two counting tasks: the ten words that a long list repeats most (cwe), and the three most
// frequent words of a text of coded words whose frequencies follow Zipf's law (fwe).
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr size_t kCommon = 10;  // words of an answer

struct ListShape {
  size_t common_times, other_times;
  size_t example_words, example_common, example_other;
};
ListShape shape_of(size_t length) {
  return length < 4096 ? ListShape{6, 1, 20, 3, 1} : ListShape{30, 3, 40, 10, 3};
}

// Words none of which is part of another: recall would count it by accident. The first n do not
// depend on n.
class WordPool {
 public:
  explicit WordPool(Random& random) : random_(random) {
    for (const Words list : {nouns(), adjectives()}) {
      for (const std::string_view w : list) add(std::string(w));
    }
    random_.shuffle(words_);
  }

  const std::string& at(size_t i) {
    while (words_.size() <= i) add(invented_word(random_));
    return words_[i];
  }

 private:
  void add(std::string word) {
    // A word of at least 4 letters is inside another only if one of the other's parts equals it.
    if (word.size() < 4 || parts_.count(word) > 0) return;
    for (size_t begin = 0; begin < word.size(); ++begin) {
      for (size_t n = 4; begin + n <= word.size(); ++n) {
        if (whole_.count(word.substr(begin, n)) > 0) return;
      }
    }
    for (size_t begin = 0; begin < word.size(); ++begin) {
      for (size_t n = 4; begin + n <= word.size(); ++n) parts_.insert(word.substr(begin, n));
    }
    whole_.insert(word);
    words_.push_back(std::move(word));
  }

  Random& random_;
  std::vector<std::string> words_;
  std::unordered_set<std::string> whole_, parts_;
};

std::string numbered(std::vector<std::string> words, Random random) {
  random.shuffle(words);
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    out += fmt::format("{}{}. {}", i == 0 ? "" : " ", i + 1, words[i]);
  }
  return out;
}

std::vector<std::string> repeated(const std::vector<std::string>& words, size_t times) {
  std::vector<std::string> out;
  for (size_t i = 0; i < times; ++i) out.insert(out.end(), words.begin(), words.end());
  return out;
}

constexpr std::string_view kListInstruction =
    "Below is a numbered list of words. Some of them come up far more often than the others. Find "
    "the ten that come up most often.";
constexpr std::string_view kListQuestion = "Which ten words come up most often in the list?";
constexpr std::string_view kListLeadIn = "The ten words that come up most often are:";

std::string solved_list(const ListShape& shape, WordPool& pool, Random& random) {
  std::vector<std::string> common, other;
  for (size_t i = 0; i < shape.example_words; ++i) {
    (i < kCommon ? common : other).push_back(pool.at(i));
  }
  std::vector<std::string> all = repeated(common, shape.example_common);
  const std::vector<std::string> rest = repeated(other, shape.example_other);
  all.insert(all.end(), rest.begin(), rest.end());
  std::string answer;
  for (size_t i = 0; i < kCommon; ++i) answer += fmt::format(" {}. {}", i + 1, common[i]);
  const std::string list = numbered(all, Random(random.next()));
  return fmt::format("{}\n\n{}\n\n{}\n{}{}", kListInstruction, list, kListQuestion, kListLeadIn,
                     answer);
}

// Riemann's zeta function at 2.
constexpr double kZeta2 = 1.6449340668482264;

}  // namespace

Instance make_common_words(const Draw& draw) {
  Random facts = draw.facts();
  const ListShape shape = shape_of(draw.length);
  WordPool pool(facts);
  Instance base;
  base.turns.resize(1);
  Turn& turn = base.turns[0];
  turn.input = kListQuestion;
  turn.answer_prefix = kListLeadIn;
  // Past the example's words: no word is in both.
  const size_t first = shape.example_words;
  for (size_t i = 0; i < kCommon; ++i) turn.answers.push_back(pool.at(first + i));
  base.instruction = fmt::format("{}\n\n{}", solved_list(shape, pool, facts), kListInstruction);
  return fit(draw, [&](size_t units, size_t fill) {
    std::vector<std::string> others;
    for (size_t i = 0; i < units; ++i) others.push_back(pool.at(first + kCommon + i));
    std::vector<std::string> all = repeated(turn.answers, shape.common_times);
    const std::vector<std::string> rest = repeated(others, shape.other_times);
    all.insert(all.end(), rest.begin(), rest.end());
    for (size_t i = 0; i < fill; ++i) all.push_back(pool.at(first + kCommon + units + i));
    Instance out = base;
    out.context = numbered(all, draw.haystack());
    return out;
  });
}

Instance make_frequent_words(const Draw& draw) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz";
  Random facts = draw.facts();
  Unique unique;
  std::vector<std::string> words;
  for (size_t i = 0; i < std::max<size_t>(10, draw.length / 50); ++i) {
    words.push_back(unique.draw([&] { return facts.text(kAlphabet, 6); }));
  }
  Instance base;
  base.instruction =
      "The text below is written in code: its words mean nothing, and the dots between them are "
      "noise. Count how often each word comes up.";
  base.turns.resize(1);
  base.turns[0].input =
      "Leave out the dots. Which three words come up most often in the text above?";
  base.turns[0].answer_prefix = "The three most frequent words are:";
  base.turns[0].answers = {words[1], words[2], words[3]};
  return fit(draw, [&](size_t units, size_t) {
    std::vector<std::string> all;
    for (size_t k = 1; k <= words.size(); ++k) {
      // Rank 1 is the noise. The fewest of 60 keep ranks 4 and 5 apart.
      const double copies = std::floor(double(units + 60) / (double(k * k) * kZeta2));
      all.insert(all.end(), static_cast<size_t>(copies), k == 1 ? "..." : words[k - 1]);
    }
    Random haystack = draw.haystack();
    haystack.shuffle(all);
    Instance out = base;
    for (const std::string& w : all) out.context += w + " ";
    return out;
  });
}

}  // namespace fathom::eval
