#include "eval/haystack.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.h"

namespace fathom::eval {
namespace {

// SplitMix64: the same numbers everywhere, which std::uniform_int_distribution does not promise.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  template <size_t N>
  std::string_view pick(const std::string_view (&words)[N]) {
    return words[below(N)];
  }

 private:
  uint64_t state_;
};

constexpr std::string_view kAdjectives[] = {
    "amber",  "ancient", "brass",  "broken",  "coral",  "crimson", "dusty",  "emerald", "faded",
    "gilded", "golden",  "hollow", "iron",    "ivory",  "marble",  "narrow", "pale",    "purple",
    "rusty",  "scarlet", "silver", "slender", "sturdy", "velvet",  "violet", "wooden"};
constexpr std::string_view kNouns[] = {
    "anchor", "barrel", "bell",  "bottle", "bridge", "candle", "chest",  "clock",   "crown",
    "drum",   "engine", "fence", "gate",   "hammer", "jewel",  "key",    "lantern", "mirror",
    "needle", "pearl",  "pipe",  "ribbon", "saddle", "shield", "statue", "whistle"};
constexpr std::string_view kColours[] = {"red",   "blue",  "green", "yellow",
                                         "black", "white", "brown"};
constexpr std::string_view kCities[] = {"London", "Paris",  "Rome",  "Vienna",
                                        "Cairo",  "Lisbon", "Boston"};
constexpr std::string_view kFirst[] = {"Alice",   "Arthur", "Clara", "Edward", "Emma",   "George",
                                       "Harriet", "James",  "Lucy",  "Martha", "Oliver", "Thomas"};
constexpr std::string_view kLast[] = {"Martin", "Robert", "Grace", "Walter",
                                      "Simon",  "Frank",  "Henry"};
constexpr std::string_view kAttributes[] = {"code",   "number", "price", "owner",
                                            "colour", "city",   "year"};

constexpr std::string_view kWho[] = {
    "the old gardener", "my uncle",      "the doctor",      "a tall stranger", "the schoolmaster",
    "our neighbour",    "the captain",   "the young clerk", "my sister",       "the miller",
    "the widow",        "an old sailor", "the housekeeper", "the parson",      "the shepherd"};
constexpr std::string_view kPlace[] = {"the kitchen",      "the garden",    "the harbour",
                                       "the churchyard",   "the library",   "the orchard",
                                       "the mill",         "the high road", "the stable",
                                       "the market place", "the old house", "the valley"};
constexpr std::string_view kTime[] = {
    "In the morning", "Towards evening", "After dinner",  "On the following day", "Late at night",
    "Before sunrise", "At noon",         "In the autumn", "Some weeks later",     "That same hour"};
constexpr std::string_view kWeather[] = {"the rain had ceased",
                                         "the wind blew cold from the sea",
                                         "a thin mist lay upon the fields",
                                         "the sun shone warm upon the walls",
                                         "the first snow had fallen",
                                         "the clouds hung low",
                                         "the air was still and heavy",
                                         "the moon stood above the hill"};
constexpr std::string_view kDeed[] = {
    "walked slowly towards {place}",         "sat down and said nothing for a long time",
    "spoke of the years that were gone",     "looked for a letter and could not find it",
    "told us a story which nobody believed", "closed the door and lit the fire",
    "stood at the window of {place}",        "came back from {place} with a heavy heart",
    "asked whether the road was safe",       "went out to see to the horses",
    "read aloud from an old book",           "wept a little, and then laughed"};
constexpr std::string_view kThought[] = {
    "It was a thing that I have often considered since, and never understood.",
    "Nobody in the village could remember such a season.",
    "There are days which seem to belong to no year at all.",
    "I did not know then how much would depend upon it.",
    "We were all of us tired, and the fire was nearly out.",
    "Such is the way of the world, and I have no wish to quarrel with it.",
    "The children were sent to bed, and the house grew quiet.",
    "For my own part I was content to wait and to listen.",
    "He had the manner of a man who has been listened to all his life.",
    "What she meant by it I could not tell, and I did not ask.",
    "The dog lifted his head, and lay down again.",
    "It is easy to be wise when a thing is over."};

std::string capitalized(std::string_view text) {
  std::string out(text);
  if (out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

std::string deed(Dice& dice) {
  std::string text(dice.pick(kDeed));
  const size_t at = text.find("{place}");
  if (at != std::string::npos) text.replace(at, 7, dice.pick(kPlace));
  return text;
}

std::string sentence(Dice& dice) {
  switch (dice.below(5)) {
    case 0:
      return fmt::format("{} {} {}.", dice.pick(kTime), dice.pick(kWho), deed(dice));
    case 1:
      return fmt::format("{}, and {} {}.", capitalized(dice.pick(kWeather)), dice.pick(kWho),
                         deed(dice));
    case 2:
      return std::string(dice.pick(kThought));
    case 3:
      return fmt::format("{} {}, while {} {}.", capitalized(dice.pick(kWho)), deed(dice),
                         dice.pick(kWho), deed(dice));
    default:
      return fmt::format("When {} we found {} in {}.", dice.pick(kWeather), dice.pick(kWho),
                         dice.pick(kPlace));
  }
}

std::string value_of(std::string_view attribute, Dice& dice) {
  if (attribute == "owner") return fmt::format("{} {}", dice.pick(kFirst), dice.pick(kLast));
  if (attribute == "colour") return std::string(dice.pick(kColours));
  if (attribute == "city") return std::string(dice.pick(kCities));
  if (attribute == "year") return std::to_string(1000 + dice.below(1000));
  return std::to_string(10000 + dice.below(90000));
}

}  // namespace

std::string Fact::sentence() const {
  return fmt::format("The {} of the {} is {}.", attribute, thing, value);
}
std::string Fact::question() const {
  return fmt::format("What is the {} of the {}?", attribute, thing);
}

Haystack make_haystack(const HaystackOptions& options) {
  Dice dice(options.seed);
  std::vector<std::string> sentences;
  for (size_t length = 0; length < options.characters; length += sentences.back().size() + 1) {
    sentences.push_back(sentence(dice));
  }
  Haystack out;
  std::set<std::string> things;
  while (out.facts.size() < options.facts) {
    const std::string thing = fmt::format("{} {}", dice.pick(kAdjectives), dice.pick(kNouns));
    if (!things.insert(thing).second) continue;
    const std::string_view attribute = dice.pick(kAttributes);
    out.facts.push_back({std::string(attribute), thing, value_of(attribute, dice)});
  }
  // One fact in each of as many equal parts, at a random sentence of its part.
  const size_t part = std::max<size_t>(1, sentences.size() / std::max<size_t>(1, options.facts));
  for (size_t i = out.facts.size(); i-- > 0;) {
    const size_t at = std::min(sentences.size(), i * part + dice.below(part));
    sentences.insert(sentences.begin() + static_cast<std::ptrdiff_t>(at), out.facts[i].sentence());
  }
  for (size_t i = 0; i < sentences.size(); ++i) {
    if (i > 0) out.text += i % 9 == 0 ? "\n\n" : " ";
    out.text += sentences[i];
  }
  out.text += "\n";
  return out;
}

}  // namespace fathom::eval
