// Prose of our own: plain sentences about a village, as many as a context needs.
#include "base/error.h"
#include "eval/library.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kPatterns[] = {
    "{When} {who} {did}.",
    "{Who} {did}, while {who} {did}.",
    "{Weather}, and {who} {did}.",
    "When {weather}, {who} {did}.",
    "{Who} {did} because {weather}.",
    "{When} {weather}, so that {who} had to wait near {where}.",
    "Beside {where} lay a {adjective} {noun}, which {who} had forgotten.",
    "Nobody near {where} remembered a {adjective} {noun} of that kind.",
    "There was a {adjective} {noun} in {where}, and a {noun} as well.",
    "{Who} spoke of a {noun} and then of a {adjective} {noun}.",
    "The road from {where} to {where} was {adjective} in those weeks.",
    "It was said that {who} {did} whenever {weather}.",
    "{Who} and {who} quarrelled over a {noun}, and {when} they made peace.",
    "{When} a {noun} was carried to {where} by {who}.",
    "From {where} one could hear how {who} {did}.",
    "{Who} asked for a {noun} and was given a {adjective} {noun}.",
    "The {noun} and the {noun} stood where they had always stood.",
    "{When} there was little to do in {where}, and {who} {did}.",
    "{Who} counted the windows of {where} and lost count.",
    "If {weather}, {who} stayed at home with a {noun}.",
    "Such a {adjective} season had not been known, and {who} {did}.",
    "\"It will pass,\" said {who}, and {did}.",
    "\"Have you seen the {noun}?\" asked {who} at {where}.",
    "In {where} they kept a {noun} that no one used.",
};
constexpr std::string_view kWho[] = {
    "the old gardener", "my uncle",      "the doctor",   "a tall stranger",
    "the schoolmaster", "our neighbour", "the captain",  "the young clerk",
    "my sister",        "the miller",    "the widow",    "an old sailor",
    "the housekeeper",  "the parson",    "the shepherd", "a boy",
    "the two cousins",  "the ferryman",  "a pedlar",     "the judge"};
constexpr std::string_view kWhere[] = {
    "the kitchen",   "the garden",       "the harbour",   "the churchyard", "the library",
    "the orchard",   "the mill",         "the high road", "the stable",     "the market place",
    "the old house", "the valley",       "the bridge",    "the schoolroom", "the inn",
    "the barn",      "the upper meadow", "the well",      "the quay",       "the tower"};
constexpr std::string_view kWhen[] = {
    "in the morning",  "towards evening",   "after dinner", "on the following day", "late at night",
    "before sunrise",  "at noon",           "in autumn",    "some weeks later",     "at that hour",
    "once in a while", "during the winter", "by and by",    "in the spring"};
constexpr std::string_view kWeather[] = {"the rain had ceased",
                                         "the wind blew cold from the sea",
                                         "a thin mist lay upon the fields",
                                         "the sun shone warm",
                                         "the first snow had fallen",
                                         "the clouds hung low",
                                         "the air was still",
                                         "the moon stood above the hill",
                                         "the frost held",
                                         "a storm was coming on",
                                         "the river was high",
                                         "the leaves were falling",
                                         "the evening was mild",
                                         "the fog would not lift"};
constexpr std::string_view kDid[] = {
    "walked slowly towards {where}",      "sat down and said nothing",
    "spoke of the years that were gone",  "looked for a letter and could not find it",
    "told a story which nobody believed", "closed the door and lit the fire",
    "stood at the window of {where}",     "came back from {where} with a heavy heart",
    "asked whether the road was safe",    "went out to see to the horses",
    "read aloud from an old book",        "wept a little and then laughed",
    "mended a {adjective} {noun}",        "wrote down the price of a {noun}",
    "waited for news from {where}",       "hummed a tune from long ago",
    "carried a {noun} across {where}",    "fell asleep over the papers",
    "made a drawing of a {noun}",         "swept the floor of {where}"};

std::string slot(std::string_view name, Random& random) {
  if (name == "adjective") return std::string(random.pick(adjectives()));
  if (name == "noun") return std::string(random.pick(nouns()));
  if (name == "Who") return capitalized(slot("who", random));
  if (name == "When") return capitalized(slot("when", random));
  if (name == "Weather") return capitalized(slot("weather", random));
  Words words = kWho;
  if (name == "where") words = kWhere;
  if (name == "when") words = kWhen;
  if (name == "weather") words = kWeather;
  if (name == "did") words = kDid;
  return expand(random.pick(words), [&](std::string_view inner) { return slot(inner, random); });
}

// "a amber" is "an amber".
void mend_articles(std::string& text) {
  for (size_t at = 0; (at = text.find(" a ", at)) != std::string::npos; ++at) {
    if (std::string_view("aeio").find(text[at + 3]) != std::string_view::npos) {
      text.insert(at + 2, "n");
    }
  }
}

}  // namespace

std::string prose_sentence(Random& random) {
  const std::string_view pattern = random.pick(Words(kPatterns));
  std::string out = expand(pattern, [&](std::string_view name) { return slot(name, random); });
  mend_articles(out);
  return out;
}

}  // namespace fathom::eval
