// RULER's questions about documents, on biographies of people who never lived, so that nothing can
// be known beforehand. qa_1 asks one attribute of one card; qa_2 bridges two: a person learned a
// trade in a town, and the town was founded in a year. Distractors share surname or town first.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Person {
  std::string first, last, town, trade, year, colour, object;
  std::string name() const { return first + " " + last; }
};

struct Town {
  std::string name, year, founder, river;
};

struct Attribute {
  std::string_view statement, question;
  std::string Person::*value;
};
const Attribute kAttributes[] = {
    {"{name} learned the work of a {trade} in {town}.", "What was the trade that {name} learned?",
     &Person::trade},
    {"The house where {name} grew up stood in {town}.",
     "In which town stood the house where {name} grew up?", &Person::town},
    {"{name} came into the world in {year}.", "In which year was {name} born?", &Person::year},
    {"On feast days {name} was seen in a {colour} coat.",
     "What colour was the coat that {name} wore on feast days?", &Person::colour},
    {"{name} never travelled without a {object}.", "What did {name} take along on every journey?",
     &Person::object},
};

std::string fill_in(std::string_view pattern, const Person& p) {
  return expand(pattern, [&](std::string_view slot) {
    if (slot == "name") return p.name();
    if (slot == "trade") return p.trade;
    if (slot == "town") return p.town;
    if (slot == "year") return p.year;
    if (slot == "colour") return p.colour;
    return p.object;
  });
}

class Cards {
 public:
  explicit Cards(Random& random) : random_(random) {}

  std::string year() { return std::to_string(random_.between(1500, 1899)); }

  Person person(const std::string& last, const std::string& town) {
    Person p;
    const std::string name = names_.draw([&] {
      p.first = std::string(random_.pick(first_names()));
      p.last = last.empty() ? surname(random_) : last;
      return p.name();
    });
    p.town = town.empty() ? place_name(random_) : town;
    p.trade = std::string(random_.pick(occupations()));
    p.year = year();
    p.colour = std::string(random_.pick(colours()));
    p.object = thing(random_);
    return p;
  }
  std::optional<Town> town(const std::string& name) {
    Town t;
    t.name = name.empty() ? place_name(random_) : name;
    if (!towns_.add(t.name)) return std::nullopt;
    t.year = year();
    t.founder = full_name(random_);
    t.river = capitalized(invented_word(random_));
    return t;
  }
  // Names of the gold cards, which no other may bear.
  void reserve(const std::string& name) {
    names_.add(name);
    towns_.add(name);
  }
  bool coin() { return random_.below(2) == 0; }

 private:
  Random& random_;
  Unique names_, towns_;
};

// A document: sentences that say something, among prose.
struct Card {
  std::vector<std::string> says;
  std::vector<size_t> gold;  // indices into says
};

Card card_of(const Person& p) {
  Card card;
  for (const Attribute& a : kAttributes) card.says.push_back(fill_in(a.statement, p));
  return card;
}

Card card_of(const Town& t) {
  return {{fmt::format("{} was founded in {} by {}.", t.name, t.year, t.founder),
           fmt::format("The river {} runs past {}.", t.river, t.name),
           fmt::format("{} keeps a market on every second Monday.", t.name)},
          {}};
}

struct Plan {
  std::vector<Card> gold;
  std::vector<double> places;                // of the gold cards among all, 0 to 1
  std::vector<std::string> surnames, towns;  // that distractors share
  std::vector<std::string> names;            // of people and towns, that they do not
  Turn turn;
};

// The sentences of a card: one that says something, then one or two of prose.
std::vector<std::string> sentences_of(const Card& card, ProseStream& prose, size_t& used) {
  std::vector<std::string> out;
  for (size_t i = 0; i < card.says.size(); ++i) {
    out.push_back(card.says[i]);
    std::string filler = prose.at(used++);
    while (filler.back() == ' ' || filler.back() == '\n') filler.pop_back();
    out.push_back(std::move(filler));
  }
  return out;
}

// Writes documents in an order with the gold ones at their places; of the last distractor only as
// many sentences as `sentences` leaves.
class Writer {
 public:
  Writer(const Draw& draw, const Plan& plan)
      : plan_(plan), random_(draw.haystack()), cards_(random_), prose_(draw.prose()) {
    for (const std::string& n : plan.names) cards_.reserve(n);
    for (const Card& c : plan.gold) gold_.push_back(sentences_of(c, prose_, used_));
  }

  Instance write(size_t sentences) {
    const std::vector<std::vector<std::string>> others = distractors(sentences);
    const size_t documents = others.size() + gold_.size();
    Instance out;
    out.instruction =
        "Answer a question with the help of the documents below. Give the answer alone, in as few "
        "words as it takes.";
    out.turns = {plan_.turn};
    out.turns[0].input =
        "Answer the question with the help of the documents above. Give the answer alone, in as "
        "few words as it takes.\n\nQuestion: " +
        plan_.turn.input;
    std::vector<size_t> gold_at = places(documents);
    size_t other = 0;
    for (size_t d = 0; d < documents; ++d) {
      append(out, fmt::format("Document {}:\n", d + 1));
      const auto g = std::find(gold_at.begin(), gold_at.end(), d);
      if (g != gold_at.end()) {
        write_gold(static_cast<size_t>(g - gold_at.begin()), out);
      } else {
        for (const std::string& s : others[other]) append(out, s + " ");
        ++other;
      }
      append(out, "\n\n");
    }
    return out;
  }

 private:
  void write_gold(size_t i, Instance& out) const {
    const Card& card = plan_.gold[i];
    for (size_t s = 0; s < gold_[i].size(); ++s) {
      const bool says = s % 2 == 0;
      const bool gold = says && std::count(card.gold.begin(), card.gold.end(), s / 2) > 0;
      if (gold) {
        append_gold(out, gold_[i][s] + " ", 0);
      } else {
        append(out, gold_[i][s] + " ");
      }
    }
  }

  // Distinct positions of the gold documents.
  std::vector<size_t> places(size_t documents) const {
    std::vector<size_t> out;
    for (const double p : plan_.places) {
      size_t at = std::min(documents - 1, static_cast<size_t>(p * double(documents)));
      while (std::count(out.begin(), out.end(), at) > 0) at = (at + 1) % documents;
      out.push_back(at);
    }
    return out;
  }

  std::vector<std::vector<std::string>> distractors(size_t sentences) {
    std::vector<std::vector<std::string>> out;
    for (size_t i = 0; sentences > 0; ++i) {
      if (i == written_.size()) written_.push_back(sentences_of(distractor(i), prose_, used_));
      out.push_back(written_[i]);
      out.back().resize(std::min(out.back().size(), sentences));
      sentences -= out.back().size();
    }
    return out;
  }

  Card distractor(size_t i) {
    if (i < plan_.surnames.size()) return card_of(cards_.person(plan_.surnames[i], ""));
    i -= plan_.surnames.size();
    if (i < plan_.towns.size()) return card_of(cards_.person("", plan_.towns[i]));
    if (cards_.coin()) return card_of(cards_.person("", ""));
    const std::optional<Town> town = cards_.town("");
    return town ? card_of(*town) : card_of(cards_.person("", ""));
  }

  const Plan& plan_;
  Random random_;
  Cards cards_;
  ProseStream prose_;
  size_t used_ = 0;  // sentences of prose
  std::vector<std::vector<std::string>> gold_, written_;
};

Instance fit_cards(const Draw& draw, const Plan& plan) {
  Writer writer(draw, plan);
  return fit(draw, [&](size_t units, size_t) { return writer.write(units); });
}

}  // namespace

Instance make_card_question(const Draw& draw) {
  Random facts = draw.facts();
  Cards cards(facts);
  const Person person = cards.person("", "");
  Plan plan;
  plan.gold = {card_of(person)};
  const size_t asked = facts.below(std::size(kAttributes));
  plan.gold[0].gold = {asked};
  plan.places = {draw.stratified_depth(facts)};
  plan.names = {person.name(), person.town};
  plan.surnames.assign(3, person.last);
  plan.towns.assign(3, person.town);
  plan.turn.input = fill_in(kAttributes[asked].question, person);
  plan.turn.answer_prefix = "Answer:";
  plan.turn.answers = {person.*kAttributes[asked].value};
  return fit_cards(draw, plan);
}

Instance make_card_bridge(const Draw& draw) {
  Random facts = draw.facts();
  Cards cards(facts);
  const Town town = *cards.town("");
  const Person person = cards.person("", town.name);
  Plan plan;
  plan.gold = {card_of(person), card_of(town)};
  plan.gold[0].gold = {0};
  plan.gold[1].gold = {0};
  plan.places = {draw.stratified_depth(facts), facts.unit()};
  plan.names = {person.name(), town.name};
  plan.surnames.assign(3, person.last);
  plan.towns.assign(3, town.name);
  plan.turn.input =
      fmt::format("In which year was the town founded where {} learned the work of a {}?",
                  person.name(), person.trade);
  plan.turn.answer_prefix = "Answer:";
  plan.turn.answers = {town.year};
  return fit_cards(draw, plan);
}

}  // namespace fathom::eval
