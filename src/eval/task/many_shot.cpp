// SCBench's ICL.ManyShot: hundreds of solved examples of one kind, then new items. Instance i has
// the kind i % 4: dates, objects that change hands, word order, and labels invented for a rule on
// how a word is spelled, which can be learned from the examples only.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Item {
  std::string question;
  std::vector<std::string> options;
  size_t right = 0;
};

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

// Days since the first of January 1900 to a date and back, by counting: the calendar of the years
// used has no exception to the rule of four but 1900, which is left out.
constexpr int kMonthDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

std::string date_text(int year, int day_of_year) {
  for (;;) {
    const int days = year % 4 == 0 ? 366 : 365;
    if (day_of_year < 0) {
      --year;
      day_of_year += year % 4 == 0 ? 366 : 365;
    } else if (day_of_year >= days) {
      day_of_year -= days;
      ++year;
    } else {
      break;
    }
  }
  for (int month = 0;; ++month) {
    const int days = kMonthDays[month] + (month == 1 && year % 4 == 0 ? 1 : 0);
    if (day_of_year < days) {
      return fmt::format("{} {} {}", day_of_year + 1, kMonths[month], year);
    }
    day_of_year -= days;
  }
}

// Shuffles the options, the first of which is right.
Item shuffled(Item item, Random& random) {
  const std::string right = item.options[0];
  random.shuffle(item.options);
  item.right = static_cast<size_t>(std::find(item.options.begin(), item.options.end(), right) -
                                   item.options.begin());
  return item;
}

Item date_item(Random& random) {
  const int year = static_cast<int>(random.between(1910, 2080));
  const int day = static_cast<int>(random.below(365));
  const int shift = static_cast<int>(random.between(2, 400));
  const bool later = random.below(2) == 0;
  const auto at = [&](int days) { return date_text(year, day + (later ? days : -days)); };
  Item item;
  item.question = fmt::format("Today is {}. Which date is {} days {}?", date_text(year, day), shift,
                              later ? "from now" : "ago");
  for (const int error : {0, 1, -1, 7, -7, 30}) item.options.push_back(at(shift + error));
  return shuffled(std::move(item), random);
}

Item tracking_item(Random& random) {
  std::vector<std::string> people, things;
  Unique unique;
  for (int i = 0; i < 7; ++i) {
    people.push_back(unique.draw([&] { return std::string(random.pick(first_names())); }));
    things.push_back(unique.draw([&] { return std::string(random.pick(nouns())); }));
  }
  Item item;
  item.options = things;  // in the order of the first owners
  std::vector<std::string> held = things;
  for (int i = 0; i < 7; ++i) {
    item.question += fmt::format("{} has the {}. ", people[static_cast<size_t>(i)],
                                 things[static_cast<size_t>(i)]);
  }
  for (int i = 0; i < 5; ++i) {
    const size_t a = random.below(7), b = (a + 1 + random.below(6)) % 7;
    item.question += fmt::format("{} and {} swap what they have. ", people[a], people[b]);
    std::swap(held[a], held[b]);
  }
  const size_t asked = random.below(7);
  item.question += fmt::format("What does {} have in the end?", people[asked]);
  item.right =
      static_cast<size_t>(std::find(things.begin(), things.end(), held[asked]) - things.begin());
  return item;
}

Item order_item(Random& random) {
  static constexpr std::string_view kSizes[] = {"tiny", "small", "large", "huge"};
  static constexpr std::string_view kStuffs[] = {"wooden", "iron", "woollen", "clay", "paper"};
  Item item;
  item.question = "Which phrase breaks the order of words that the others keep?";
  for (int i = 0; i < 6; ++i) {
    std::array<std::string, 3> words = {std::string(random.pick(Words(kSizes))),
                                        std::string(random.pick(colours())),
                                        std::string(random.pick(Words(kStuffs)))};
    if (i == 0) std::swap(words[random.below(2)], words[2]);
    item.options.push_back(
        fmt::format("a {} {} {} {}", words[0], words[1], words[2], random.pick(nouns())));
  }
  return shuffled(std::move(item), random);
}

// Which of the invented labels a word has, by how it is spelled.
using LabelRule = size_t (*)(const std::string& word);
bool vowel(char c) { return std::string_view("aeiou").find(c) != std::string_view::npos; }
constexpr LabelRule kRules[] = {
    [](const std::string& w) -> size_t { return vowel(w.back()) ? 1 : 0; },
    [](const std::string& w) -> size_t { return w.size() <= 5   ? 0
                                                : w.size() <= 7 ? 1
                                                                : 2; },
    [](const std::string& w) -> size_t { return w.find('a') == std::string::npos ? 1 : 0; },
    [](const std::string& w) -> size_t { return w[0] <= 'f'   ? 0
                                                : w[0] <= 'n' ? 1
                                                              : 2; },
};

Item label_item(Random& random, LabelRule rule, const std::vector<std::string>& labels) {
  Item item;
  const std::string word = invented_word(random);
  item.question = fmt::format("Which kind of word is \"{}\"?", word);
  item.options = labels;
  item.right = rule(word);
  return item;
}

std::string letter(size_t i) { return fmt::format("({})", static_cast<char>('A' + i)); }

std::string question_text(const Item& item) {
  std::string out = item.question;
  for (size_t i = 0; i < item.options.size(); ++i) {
    out += fmt::format("\n{} {}", letter(i), item.options[i]);
  }
  return out;
}

// Items of one kind.
class Maker {
 public:
  Maker(size_t kind, Random& facts) : kind_(kind), rule_(facts.pick(std::span(kRules))) {
    Unique unique;
    for (int i = 0; i < 3; ++i)
      labels_.push_back(unique.draw([&] { return invented_word(facts); }));
  }
  Item make(Random& random) const {
    if (kind_ == 0) return date_item(random);
    if (kind_ == 1) return tracking_item(random);
    if (kind_ == 2) return order_item(random);
    return label_item(random, rule_, labels_);
  }

 private:
  size_t kind_;
  LabelRule rule_;
  std::vector<std::string> labels_;
};

constexpr size_t kKinds = 4, kLabels = 3;

Instance make_shots(const Draw& draw, size_t kind) {
  Random facts = draw.facts(), haystack = draw.haystack();
  const Maker maker(kind, facts);
  Instance base;
  base.instruction = "Below are questions of one kind with their answers.";
  Unique asked;
  for (size_t t = 0; t < draw.turns; ++t) {
    Item item;
    const std::string question = asked.draw([&] {
      item = maker.make(facts);
      return question_text(item);
    });
    Turn& turn = base.turns.emplace_back();
    turn.input = question;
    turn.answer_prefix = "Answer:";
    turn.answers = {letter(item.right)};
    turn.options = item.options;
  }
  std::vector<std::string> examples;
  return fit(draw, [&](size_t units, size_t fill) {
    while (examples.size() < units) {
      Item item;
      const std::string question = asked.draw([&] {
        item = maker.make(haystack);
        return question_text(item);
      });
      examples.push_back(fmt::format("{}\nAnswer: {}\n\n", question, letter(item.right)));
    }
    Instance out = base;
    for (const std::string& remark : noise(fill)) append(out, remark);
    if (fill > 0) append(out, "\n\n");
    for (size_t i = 0; i < units; ++i) append(out, examples[i]);
    return out;
  });
}

}  // namespace

Instance make_many_shot(const Draw& draw) { return make_shots(draw, draw.index % kKinds); }
Instance make_label_shots(const Draw& draw) { return make_shots(draw, kLabels); }

}  // namespace fathom::eval
