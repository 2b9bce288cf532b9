// Variable tracking: a number is given to a variable and copied along a chain of others; the answer
// is all names of the chain. RULER asks for one chain after a solved example, SCBench for one of
// five chains in each turn.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr size_t kHops = 4;
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kInstruction =
    "In the text below numbers are given to variables, and variables are copied to others. Keep "
    "track of them: you will be asked which variables hold a number.";

struct Chain {
  std::string value;
  std::vector<std::string> names;

  std::vector<std::string> statements() const {
    std::vector<std::string> out = {fmt::format("VAR {} = {}\n", names[0], value)};
    for (size_t i = 1; i < names.size(); ++i) {
      out.push_back(fmt::format("VAR {} = VAR {}\n", names[i], names[i - 1]));
    }
    return out;
  }
  std::string question() const {
    return fmt::format("Which variables hold the number {} in the text above?", value);
  }
  std::string lead_in() const {
    return fmt::format("{} variables hold the number {}. They are:", names.size(), value);
  }
};

Chain draw_chain(Random& random, Unique& unique, size_t letters) {
  Chain chain;
  chain.value = unique.draw([&] { return digits(random, 5); });
  for (size_t i = 0; i <= kHops; ++i) {
    chain.names.push_back(unique.draw([&] { return random.text(kLetters, letters); }));
  }
  return chain;
}

// The statements in their order, at ascending random depths.
void add_chain(const Chain& chain, size_t turn, Random& random, std::vector<Insert>& inserts) {
  std::vector<double> depths(chain.names.size());
  for (double& d : depths) d = random.unit();
  std::sort(depths.begin(), depths.end());
  const std::vector<std::string> statements = chain.statements();
  for (size_t i = 0; i < statements.size(); ++i) {
    inserts.push_back({"\n" + statements[i], depths[i], {turn}});
  }
}

Turn turn_of(const Chain& chain) {
  Turn turn;
  turn.input = chain.question();
  turn.answer_prefix = chain.lead_in();
  turn.answers = chain.names;
  return turn;
}

// A solved example with names of three letters.
std::string solved_example(Random& random) {
  Unique unique;
  const Chain chain = draw_chain(random, unique, 3);
  Instance text;
  text.turns.resize(1);
  std::vector<Insert> inserts;
  add_chain(chain, 0, random, inserts);
  weave(noise(50), inserts, text);
  std::string names;
  for (const std::string& n : chain.names) names += " " + n;
  return fmt::format("{}\n\n{}\n\n{}\n{}{}", kInstruction, text.context, chain.question(),
                     chain.lead_in(), names);
}

Instance fit_noise(const Draw& draw, const Instance& base, const std::vector<Insert>& inserts) {
  return fit(draw, [&](size_t units, size_t) {
    Instance out = base;
    weave(noise(units), inserts, out);
    return out;
  });
}

}  // namespace

Instance make_variable_tracking(const Draw& draw) {
  Random facts = draw.facts();
  Unique unique;
  const Chain chain = draw_chain(facts, unique, 5);
  std::vector<Insert> inserts;
  add_chain(chain, 0, facts, inserts);
  Instance base;
  base.instruction = fmt::format("{}\n\n{}", solved_example(facts), kInstruction);
  base.turns = {turn_of(chain)};
  return fit_noise(draw, base, inserts);
}

Instance make_multi_hop(const Draw& draw) {
  Random facts = draw.facts();
  Unique unique;
  Instance base;
  base.instruction = kInstruction;
  std::vector<Insert> inserts;
  for (size_t t = 0; t < draw.turns; ++t) {
    const Chain chain = draw_chain(facts, unique, 5);
    add_chain(chain, t, facts, inserts);
    base.turns.push_back(turn_of(chain));
  }
  return fit_noise(draw, base, inserts);
}

}  // namespace fathom::eval
