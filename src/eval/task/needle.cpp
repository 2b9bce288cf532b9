// The needle grid: one odd fact in prose, at eleven depths, five needles each. Index i of an
// instance is depth i % 11 of needle i / 11, so that 55 instances are a full grid.
#include <iterator>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Needle {
  std::string_view statement, question, lead_in;  // with {name}, {value}
};
constexpr Needle kNeedles[] = {
    {"The ferry from {name} leaves exactly {value} minutes after the tide turns.",
     "How many minutes after the tide turns does the ferry from {name} leave?",
     "The ferry from {name} leaves after this many minutes:"},
    {"In the cellar of the {name} town hall {value} jars of plum jam are stored.",
     "How many jars of plum jam are stored in the cellar of the {name} town hall?",
     "The jars in the cellar of the {name} town hall number"},
    {"The clock of {name} was made by hand from {value} separate parts.",
     "Of how many separate parts was the clock of {name} made?",
     "The parts of the clock of {name} number"},
    {"A pilgrim who walks to {name} passes {value} white stones on the way.",
     "How many white stones does a pilgrim pass on the way to {name}?",
     "The white stones on the way to {name} number"},
    {"The longest letter ever posted in {name} had {value} pages.",
     "How many pages had the longest letter ever posted in {name}?",
     "The pages of the longest letter posted in {name} number"},
};
constexpr size_t kDepths = 11;

}  // namespace

Instance make_needle(const Draw& draw) {
  // Needle and names are the same at every depth, so that cells differ in the depth alone.
  Draw column = draw;
  column.index = draw.index / kDepths;
  Random facts = column.facts();
  const Needle& needle = kNeedles[column.index % std::size(kNeedles)];
  const std::string name = place_name(facts), value = digits(facts, 5);
  const auto fill_in = [&](std::string_view pattern) {
    return expand(pattern, [&](std::string_view s) { return s == "name" ? name : value; });
  };
  Instance base;
  base.depth = double(draw.index % kDepths) / double(kDepths - 1);
  base.instruction = "Read the following text. You will be asked about it afterwards.";
  base.turns.resize(1);
  base.turns[0].input = fill_in(needle.question);
  base.turns[0].answer_prefix = fill_in(needle.lead_in);
  base.turns[0].answers = {value};
  const std::vector<Insert> inserts = {{fill_in(needle.statement) + " ", base.depth, {0}}};
  ProseStream prose(*draw.library, column.haystack());
  return fit(draw, [&](size_t units, size_t) {
    Instance out = base;
    weave(prose.first(units), inserts, out);
    return out;
  });
}

}  // namespace fathom::eval
