// SCBench's Code.RepoQA and Mix.RepoQA+KV: a file of functions; a turn describes one in words, and
// the answer is its text. Functions are of 60 families (ten conditions by six ways to gather what
// meets them) with names, constants and order drawn. With keys, comment lines between the functions
// hold values that other turns ask for.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Condition {
  std::string_view code;   // with {x}, {i}, {last}, {k}, {m}
  std::string_view words;  // of the numbers that count
};
constexpr Condition kConditions[] = {
    {"{x} % 2 == 0", "that are even"},
    {"{x} > {k}", "greater than {k}"},
    {"{i} % 2 == 1", "at odd positions"},
    {"{x} != {last}", "that differ from the one before"},
    {"{x} % {m} == 0", "that {m} divides"},
    {"{x} >= {m} && {x} <= {k}", "from {m} up to {k}"},
    {"{x} % 10 == {m}", "whose last digit is {m}"},
    {"{x} < 0", "below zero"},
    {"{i} % {m} == 0", "at every {m}th position"},
    {"{x} > {last}", "that exceed the one before"},
};

struct Gathering {
  std::string_view begin, step;  // code, with {acc}, {x}, {k}
  std::string_view words;        // with {which}
  std::string_view again;        // the same in other words
};
constexpr Gathering kGatherings[] = {
    {"0", "{acc} += {x};", "adds up the numbers {which}", "gives the sum of all numbers {which}"},
    {"0", "++{acc};", "counts the numbers {which}", "tells how many numbers there are {which}"},
    {"-1000000", "if ({x} > {acc}) {acc} = {x};", "finds the largest of the numbers {which}",
     "gives the greatest number among those {which}"},
    {"1000000", "if ({x} < {acc}) {acc} = {x};", "finds the smallest of the numbers {which}",
     "gives the least number among those {which}"},
    {"1", "{acc} = {acc} * {x} % 9973;",
     "multiplies the numbers {which} and keeps the rest by 9973",
     "gives the product, by 9973, of the numbers {which}"},
    {"0", "{acc} = 31 * {acc} + {x};",
     "folds the numbers {which} into one value, each time multiplying by 31",
     "computes a rolling value, 31 times the last plus the number, over the numbers {which}"},
};
constexpr std::string_view kVerbs[] = {"gather",  "measure", "reduce", "visit", "probe",
                                       "examine", "settle",  "weigh",  "scan",  "inspect"};

struct Function {
  std::string name, code, description;
};

class FunctionMaker {
 public:
  Function make(Random& random) {
    const Condition& condition = random.pick(std::span(kConditions));
    const Gathering& gathering = random.pick(std::span(kGatherings));
    Function f;
    f.name = names_.draw([&] {
      std::string name(random.pick(Words(kVerbs)));
      name += "_" + std::string(random.pick(adjectives()));
      return name + "_" + std::string(random.pick(nouns()));
    });
    const std::string k = std::to_string(random.between(20, 99));
    const std::string m = std::to_string(random.between(3, 9));
    Unique locals;
    const auto local = [&] {
      return locals.draw([&] { return std::string(random.pick(nouns())); });
    };
    const std::string v = local(), acc = local(), last = local(), i = local(), x = local();
    const auto slot = [&](std::string_view name) -> std::string {
      if (name == "x") return x;
      if (name == "i") return i;
      if (name == "last") return last;
      if (name == "k") return k;
      if (name == "m") return m;
      if (name == "v") return v;
      if (name == "acc") return acc;
      if (name == "name") return f.name;
      if (name == "begin") return std::string(gathering.begin);
      return "";
    };
    f.code = expand(body(condition, gathering, random), slot);
    f.description = describe(condition, gathering, slot, random);
    return f;
  }

 private:
  static std::string body(const Condition& c, const Gathering& g, Random& random) {
    const bool swapped = random.below(2) == 0;
    const std::string a = "  int {acc} = {begin};\n", b = "  int {last} = 0;\n";
    std::string out = "int {name}(const std::vector<int>& {v}) {{\n";
    out += swapped ? b + a : a + b;
    out += "  for (size_t {i} = 0; {i} < {v}.size(); ++{i}) {{\n    const int {x} = {v}[{i}];\n";
    out += "    if (" + std::string(c.code) + ") {{\n      " + std::string(g.step) + "\n    }}\n";
    return out + "    {last} = {x};\n  }}\n  return {acc};\n}}\n";
  }

  static std::string describe(const Condition& c, const Gathering& g,
                              FunctionRef<std::string(std::string_view)> slot, Random& random) {
    const std::string which = expand(c.words, slot);
    const std::string what =
        expand(random.below(2) == 0 ? g.words : g.again, [&](std::string_view) { return which; });
    return fmt::format(
        "Purpose: it {}. Input: a list of whole numbers. Output: one whole number. Procedure: it "
        "goes through the list once from the front, keeps the number before in mind, and starts "
        "from {}.",
        what, g.begin);
  }

  Unique names_;
};

struct Plan {
  std::vector<Function> asked;
  std::vector<std::pair<std::string, std::string>> keys;
  std::vector<Insert> inserts;
  std::vector<Turn> turns;
};

Turn function_turn(const Function& f) {
  Turn turn;
  turn.task = "repoqa";
  turn.input = fmt::format(
      "One function of the file is described as follows.\n{}\nWrite down this function exactly as "
      "it stands in the file, in a fenced block.",
      f.description);
  turn.answers = {f.code};
  turn.answers[0].pop_back();
  return turn;
}

Turn key_turn(const std::string& key, const std::string& value, size_t max_new) {
  Turn turn;
  turn.task = "kv";
  turn.input = fmt::format("Which value does a comment of the file give to the key {}?", key);
  turn.answer_prefix = "The value is";
  turn.answers = {value};
  turn.max_new = max_new;
  return turn;
}

constexpr size_t kKeyLines = 40;

void add_keys(Random& facts, Plan& plan) {
  Unique unique;
  for (size_t i = 0; i < kKeyLines; ++i) {
    const std::string key = unique.draw([&] { return make_key(KeyKind::kWords, facts); });
    plan.keys.emplace_back(key, digits(facts, 7));
    const std::string line = fmt::format("// {} = {}\n\n", key, plan.keys.back().second);
    plan.inserts.push_back({line, facts.unit(), {}});
  }
}

// Two functions of one family and constants would both be right.
Function draw_asked(FunctionMaker& maker, Random& facts, Unique& descriptions) {
  Function f;
  do f = maker.make(facts);
  while (!descriptions.add(f.description));
  return f;
}

Instance make(const Draw& draw, bool keys) {
  Random facts = draw.facts(), haystack = draw.haystack();
  FunctionMaker maker;
  Unique descriptions;
  Plan plan;
  // Short texts hold fewer key lines; those asked are among the first.
  if (keys) add_keys(facts, plan);
  plan.inserts.resize(std::min(plan.inserts.size(), std::max<size_t>(4, draw.length / 400)));
  const size_t functions = keys ? (draw.turns + 1) / 2 : draw.turns;
  for (size_t t = 0, f = 0, k = 0; t < draw.turns; ++t) {
    if (keys && t % 2 == 1) {
      plan.inserts[k].turns = {t};
      plan.turns.push_back(
          key_turn(plan.keys[k].first, plan.keys[k].second, std::min<size_t>(80, draw.length / 4)));
      k = (k + 1) % plan.inserts.size();
      continue;
    }
    const Function asked = draw_asked(maker, facts, descriptions);
    const double depth = (double(f++) + facts.unit()) / double(functions);
    plan.inserts.push_back({asked.code + "\n", depth, {t}});
    plan.turns.push_back(function_turn(asked));
    if (!keys) plan.turns.back().task.clear();
  }
  std::vector<std::string> others;
  return fit(draw, [&](size_t units, size_t fill) {
    while (others.size() < units) {
      others.push_back(draw_asked(maker, haystack, descriptions).code + "\n");
    }
    std::vector<std::string> all(others.begin(),
                                 others.begin() + static_cast<std::ptrdiff_t>(units));
    for (const std::string& remark : noise(fill)) {
      all.push_back("// " + remark + (remark.back() == '\n' ? "" : "\n"));
    }
    Instance out;
    out.instruction =
        "Below is a source file. Read its functions: you will be asked about them afterwards.";
    out.turns = plan.turns;
    weave(all, plan.inserts, out);
    return out;
  });
}

}  // namespace

Instance make_repository(const Draw& draw) { return make(draw, false); }
Instance make_repository_kv(const Draw& draw) { return make(draw, true); }

}  // namespace fathom::eval
