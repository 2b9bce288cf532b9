// SCBench's Retr.KV: one object of random keys and values, none of which can be guessed or left
// out. Every turn asks one key, each from another part of the object. kv_words is the small form
// for small models: keys of two words, values of five digits, in sentences.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Form {
  bool object;  // of uuids, as published; else sentences
  std::string_view instruction;
  std::string (*make_key)(Random&);
  std::string (*value)(Random&);
  std::string (*line)(const std::string& key, const std::string& value);
  Turn (*turn)(const std::string& key);
};

Turn object_turn(const std::string& key) {
  Turn turn;
  turn.input = fmt::format("Key: \"{}\"\nIts value is:", key);
  return turn;
}

Turn sentence_turn(const std::string& key) {
  Turn turn;
  turn.input = fmt::format("What is the code of the {}?", key);
  return turn;
}

const Form kObject = {
    true,
    "Below is a JSON object. Report the value that is stored under the key you are asked for.",
    uuid,
    uuid,
    [](const std::string& key, const std::string& value) {
      return fmt::format("\"{}\": \"{}\",\n", key, value);
    },
    object_turn};
const Form kSentences = {false,
                         "Below is a list of codes. You will be asked for some of them afterwards.",
                         thing,
                         [](Random& random) { return digits(random, 5); },
                         [](const std::string& key, const std::string& value) {
                           return fmt::format("The code of the {} is {}.\n", key, value);
                         },
                         sentence_turn};

// The last line has no comma.
void close_object(Instance& out) {
  out.context.replace(out.context.size() - 2, 2, "\n}");
  for (Turn& t : out.turns) {
    for (Span& s : t.gold) s.end = std::min(s.end, out.context.size() - 2);
  }
}

Instance make(const Draw& draw, const Form& form) {
  Random facts = draw.facts(), haystack = draw.haystack();
  Unique keys, values;
  const auto line = [&](Random& random, std::string& key, std::string& value) {
    key = keys.draw([&] { return form.make_key(random); });
    value = form.value(random);
    // Five digits run out in a long list; uuids never repeat.
    if (form.object) value = values.draw([&] { return form.value(random); });
    return form.line(key, value);
  };
  std::vector<size_t> order(draw.turns);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  facts.shuffle(order);
  Instance base;
  base.instruction = form.instruction;
  base.turns.resize(draw.turns);
  std::vector<Insert> inserts;
  for (size_t part = 0; part < draw.turns; ++part) {
    std::string key, value;
    const double depth = (double(part) + facts.unit()) / double(draw.turns);
    inserts.push_back({line(facts, key, value), depth, {order[part]}});
    Turn& turn = base.turns[order[part]] = form.turn(key);
    turn.answers = {value};
  }
  std::vector<std::string> lines;
  return fit(draw, [&](size_t units, size_t) {
    while (lines.size() < units) {
      std::string key, value;
      lines.push_back(line(haystack, key, value));
    }
    Instance out = base;
    if (form.object) append(out, "{\n");
    weave(std::span(lines).first(units), inserts, out);
    if (form.object) close_object(out);
    return out;
  });
}

}  // namespace

Instance make_key_value(const Draw& draw) { return make(draw, kObject); }
Instance make_key_value_words(const Draw& draw) { return make(draw, kSentences); }

}  // namespace fathom::eval
