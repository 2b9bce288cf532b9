// Facts hidden in prose, each asked for: the kind of question that small models are trained on, and
// the bundled one is ("The code of the amber lantern is 58291."). No instruction stands before it.
#include "eval/haystack.h"
#include "eval/task/tasks.h"

namespace fathom::eval {

Instance make_hidden_facts(const Draw& draw) {
  Random random = draw.facts();
  HaystackOptions options;
  options.seed = random.next();
  options.characters = 0;
  options.facts = draw.turns;
  const std::vector<Fact> facts = make_haystack(options).facts;
  Instance base;
  std::vector<Insert> inserts;
  for (size_t t = 0; t < facts.size(); ++t) {
    Turn& turn = base.turns.emplace_back();
    turn.input = facts[t].question();
    turn.answers = {facts[t].value};
    const std::string sentence = facts[t].sentence();
    turn.lead_in = sentence.substr(0, sentence.rfind(" " + facts[t].value));
    const double depth = (double(t) + random.unit()) / double(facts.size());
    inserts.push_back({facts[t].sentence() + " ", depth, {t}});
  }
  ProseStream prose = draw.prose();
  return fit(draw, [&](size_t units, size_t) {
    Instance out = base;
    weave(prose.first(units), inserts, out);
    return out;
  });
}

}  // namespace fathom::eval
