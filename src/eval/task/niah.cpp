// RULER's needles in a haystack (Hsieh et al. 2024): sentences that give the secret number or uuid
// of a key, among remarks without content, prose, or nothing but such sentences.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

enum class Hay : uint8_t { kNoise, kProse, kNeedles };

struct Kind {
  std::string_view task;
  Hay hay;
  KeyKind key, value;
  size_t keys, values, queries;
};
constexpr auto kW = KeyKind::kWords, kN = KeyKind::kNumber, kU = KeyKind::kUuid;
constexpr Kind kKinds[] = {
    {"niah_single_1", Hay::kNoise, kW, kN, 1, 1, 1},
    {"niah_single_2", Hay::kProse, kW, kN, 1, 1, 1},
    {"niah_single_3", Hay::kProse, kW, kU, 1, 1, 1},
    {"niah_multikey_1", Hay::kProse, kW, kN, 4, 1, 1},
    {"niah_multikey_2", Hay::kNeedles, kW, kN, 1, 1, 1},
    {"niah_multikey_3", Hay::kNeedles, kU, kU, 1, 1, 1},
    {"niah_multivalue", Hay::kProse, kW, kN, 1, 4, 1},
    {"niah_multiquery", Hay::kProse, kW, kN, 4, 1, 4},
};

const Kind& kind_of(std::string_view task) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const Kind& k) { return k.task == task; });
}

std::string_view noun_of(const Kind& kind) { return kind.value == kN ? "number" : "uuid"; }

std::string needle(const Kind& kind, const std::string& key, const std::string& value) {
  return fmt::format("The secret {} for {} is: {}.", noun_of(kind), key, value);
}

std::string listed(const std::vector<std::string>& items) {
  std::string out = items[0];
  for (size_t i = 1; i < items.size(); ++i) {
    out += (i + 1 == items.size() ? " and " : ", ") + items[i];
  }
  return out;
}

// The units of the haystack, from one stream: the first n do not depend on n.
class Haystack {
 public:
  Haystack(const Draw& draw, const Kind& kind, Unique& keys, Unique& values)
      : kind_(kind), prose_(draw.prose()), random_(draw.haystack()), keys_(keys), values_(values) {}

  std::vector<std::string> first(size_t n) {
    if (kind_.hay == Hay::kNoise) return noise(n);
    if (kind_.hay == Hay::kProse) {
      const auto sentences = prose_.first(n);
      return {sentences.begin(), sentences.end()};
    }
    while (lines_.size() < n) {
      const std::string key = keys_.draw([&] { return make_key(kind_.key, random_); });
      const std::string value = values_.draw([&] { return make_key(kind_.value, random_); });
      lines_.push_back(needle(kind_, key, value) + "\n");
    }
    return {lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(n)};
  }

 private:
  const Kind& kind_;
  ProseStream prose_;
  Random random_;
  Unique &keys_, &values_;
  std::vector<std::string> lines_;
};

void ask(const Kind& kind, const std::vector<std::string>& asked, Turn& turn) {
  const bool many = kind.values * kind.queries > 1;
  const std::string what = fmt::format("secret {}{}", noun_of(kind), many ? "s" : "");
  turn.input = fmt::format("Which {} {} given in the text for {}?", what, many ? "are" : "is",
                           listed(asked));
  turn.answer_prefix =
      fmt::format("The {} given in the text for {} {}:", what, listed(asked), many ? "are" : "is");
}

}  // namespace

Instance make_niah(const Draw& draw) {
  const Kind& kind = kind_of(draw.task->name);
  Random facts = draw.facts();
  Unique keys, values;
  Instance base;
  base.instruction = fmt::format(
      "Somewhere in the text below one or more secret {}s are given. Remember them: you will be "
      "asked for them afterwards.",
      noun_of(kind));
  base.turns.resize(1);
  std::vector<Insert> inserts;
  std::vector<std::string> asked;
  for (size_t k = 0; k < kind.keys; ++k) {
    const std::string key = keys.draw([&] { return make_key(kind.key, facts); });
    const bool gold = k < kind.queries;
    if (gold) asked.push_back(key);
    for (size_t v = 0; v < kind.values; ++v) {
      const std::string value = values.draw([&] { return make_key(kind.value, facts); });
      const double depth = inserts.empty() ? draw.stratified_depth(facts) : facts.unit();
      const char* after = kind.hay == Hay::kNeedles ? "\n" : " ";
      inserts.push_back({needle(kind, key, value) + after, depth, {}});
      if (!gold) continue;
      inserts.back().turns = {0};
      base.turns[0].answers.push_back(value);
    }
  }
  ask(kind, asked, base.turns[0]);
  base.depth = inserts[0].depth;
  Haystack haystack(draw, kind, keys, values);
  return fit(draw, [&](size_t units, size_t) {
    Instance out = base;
    weave(haystack.first(units), inserts, out);
    return out;
  });
}

}  // namespace fathom::eval
