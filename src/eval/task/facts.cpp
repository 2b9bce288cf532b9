#include "eval/task/facts.h"

#include "base/error.h"

namespace fathom::eval {
namespace {

enum class Value : uint8_t {
  kSpot,
  kTown,
  kColour,
  kNumber,
  kKin,
  kTrade,
  kDay,
  kPerson,
  kPrice,
  kThing
};

struct Pair {
  Value value;
  std::string_view statement, question;  // with {name}, {value}
};
constexpr Pair kPairs[] = {
    {Value::kSpot, "Before supper {name} hid the purse beneath the {value}.",
     "Where did {name} put the purse?"},
    {Value::kSpot, "The spare key of {name} had always hung behind the {value}.",
     "Where could one find the second key of {name}?"},
    {Value::kSpot, "One letter of {name} slipped, unnoticed, under the {value}.",
     "Where was what {name} had written lost?"},
    {Value::kSpot, "{name} slept that night on straw next to the {value}.",
     "Where did {name} spend the night?"},
    {Value::kTown, "{name} bought a ticket and got down from the coach in {value}.",
     "To which town did {name} travel?"},
    {Value::kTown, "Every summer of childhood {name} was sent to an aunt in {value}.",
     "Where did {name} stay as a child in the warm months?"},
    {Value::kTown, "The regiment of {name} was quartered in {value} at the time.",
     "In which town did {name} serve as a soldier?"},
    {Value::kTown, "{name} had been married in the small chapel of {value}.",
     "Where was the wedding of {name}?"},
    {Value::kColour, "{name} wore a {value} ribbon at the collar that evening.",
     "What colour was the band at the neck of {name}?"},
    {Value::kColour, "The front door of {name} had been painted {value} in the spring.",
     "Which colour has the entrance of the house of {name}?"},
    {Value::kColour, "The horse on which {name} rode away had a {value} saddle cloth.",
     "What colour lay under the saddle of {name}?"},
    {Value::kColour, "{name} wrote every page in {value} ink.",
     "In what colour are the writings of {name}?"},
    {Value::kNumber, "{name} counted {value} steps from the gate to the well.",
     "How far is it from the gate to the well, by the count of {name}?"},
    {Value::kNumber, "At the fair {name} won a basket with {value} eggs.",
     "How many eggs were in the prize of {name}?"},
    {Value::kNumber, "{name} owned {value} books and had read all of them.",
     "How large was the library of {name}?"},
    {Value::kNumber, "It took {name} {value} days to cross the moor.",
     "How long was {name} on the way over the moor?"},
    {Value::kKin, "The child who ran to meet {name} was called {value}.",
     "Who came running towards {name}?"},
    {Value::kKin, "{name} had a twin by the name of {value}.",
     "Who was born on the same day and to the same mother as {name}?"},
    {Value::kKin, "{name} grew up in the care of an uncle, {value}.", "Who brought up {name}?"},
    {Value::kKin, "In the churchyard {value} lies beside {name}, father beside child.",
     "Who was the father of {name}?"},
    {Value::kTrade, "{name} earned a living as a {value}.", "What was the work of {name}?"},
    {Value::kTrade, "Nobody guessed that {name} had once been a {value}.",
     "What had {name} been in earlier days?"},
    {Value::kTrade, "The wish of {name} was to become a {value} some day.",
     "What did {name} hope to be?"},
    {Value::kTrade, "{name} took lodgings above the shop of a {value}.",
     "Whose shop lay under the rooms of {name}?"},
    {Value::kDay, "{name} came to call every {value} and at no other time.",
     "On which day of the week could one expect {name}?"},
    {Value::kDay, "The trial of {name} was set for a {value}.",
     "On what day of the week was {name} brought before the judge?"},
    {Value::kDay, "It was a {value} when {name} fell ill.",
     "On which day of the week did the illness of {name} begin?"},
    {Value::kDay, "{name} closed the workshop on every {value}.",
     "On which day did {name} never work?"},
    {Value::kPerson, "The boat that {name} rowed belonged to {value}.",
     "Whose boat did {name} use?"},
    {Value::kPerson, "{name} lost the game of cards to {value}.", "Who beat {name} at cards?"},
    {Value::kPerson, "The portrait of {name} was the work of {value}.", "Who painted {name}?"},
    {Value::kPerson, "{name} trusted no one but {value}.", "In whom alone did {name} have faith?"},
    {Value::kPrice, "{name} paid {value} shillings for the old clock.",
     "What did the clock cost {name}?"},
    {Value::kPrice, "The debts of {name} came to {value} crowns.", "How much did {name} owe?"},
    {Value::kPrice, "{name} sold the field for {value} guineas.",
     "What did {name} get for the land?"},
    {Value::kPrice, "A year of lodging cost {name} {value} florins.",
     "How much was the yearly rent of {name}?"},
    {Value::kThing, "{name} never went out without a {value} in the pocket.",
     "What did {name} always carry along?"},
    {Value::kThing, "The only thing {name} saved from the fire was a {value}.",
     "What did {name} bring out of the flames?"},
    {Value::kThing, "For the birthday {name} was given a {value}.",
     "What present did {name} receive?"},
    {Value::kThing, "Over the bed of {name} hung a {value}.",
     "What was fastened to the wall where {name} slept?"},
};

constexpr std::string_view kSpots[] = {"stairs", "bench", "hearth", "cupboard", "dresser",
                                       "stove",  "altar", "trough", "gatepost", "bookcase"};

std::string draw_value(Value kind, Random& random) {
  const auto spot = [&] {
    const std::string what(random.pick(nouns()));
    return what + " " + std::string(random.pick(Words(kSpots)));
  };
  switch (kind) {
    case Value::kSpot:
      return spot();
    case Value::kTown:
      return place_name(random);
    case Value::kColour:
      return std::string(random.pick(colours()));
    case Value::kNumber:
    case Value::kPrice:
      return std::to_string(random.between(101, 999));
    case Value::kKin:
    case Value::kPerson:
      return full_name(random);
    case Value::kTrade:
      return std::string(random.pick(occupations()));
    case Value::kDay:
      return std::string(random.pick(days()));
    case Value::kThing:
      return thing(random);
  }
  return "";
}

std::string fill_in(std::string_view pattern, const std::string& name, const std::string& value) {
  return expand(pattern, [&](std::string_view slot) { return slot == "name" ? name : value; });
}

}  // namespace

std::string FactMaker::new_name() {
  return names_.draw([&] { return full_name(random_); });
}

std::vector<StoryFact> FactMaker::draw(size_t others) {
  const Pair& pair = random_.pick(std::span(kPairs));
  std::vector<StoryFact> out;
  Unique values;
  for (size_t i = 0; i <= others; ++i) {
    StoryFact f;
    f.name = new_name();
    f.value = values.draw([&] { return draw_value(pair.value, random_); });
    f.statement = fill_in(pair.statement, f.name, f.value);
    f.question = fill_in(pair.question, f.name, f.value);
    out.push_back(std::move(f));
  }
  return out;
}

std::vector<FactMaker::TwoHop> FactMaker::draw_two_hops(size_t others) {
  std::vector<TwoHop> out;
  Unique places;
  for (size_t i = 0; i <= others; ++i) {
    TwoHop hop;
    hop.fact.name = new_name();
    hop.fact.value = places.draw([&] { return place_name(random_); });
    const std::string what = things_.draw([&] { return thing(random_); });
    hop.fact.statement = fmt::format("{} was the maker of the {}.", hop.fact.name, what);
    hop.second = fmt::format("The {} is kept to this day in {}.", what, hop.fact.value);
    hop.fact.question = fmt::format("In which town is the work of {} kept?", hop.fact.name);
    out.push_back(std::move(hop));
  }
  return out;
}

}  // namespace fathom::eval
