// Facts about invented people, told in one way and asked for in another, with little in common but
// the name: what questions about a story are made of.
#pragma once

#include <string>
#include <vector>

#include "eval/random.h"
#include "eval/task/words.h"

namespace fathom::eval {

struct StoryFact {
  std::string name;
  std::string statement;  // one sentence
  std::string question;
  std::string value;  // the answer
};

// Draws facts; every name comes once.
class FactMaker {
 public:
  explicit FactMaker(Random& random) : random_(random) {}

  // A fact, and `others` about other people with other values, told in the same way.
  std::vector<StoryFact> draw(size_t others);
  // "{name} left the {thing}" and "the {thing} is in {place}": two statements each, the first of
  // each pair about the person; the value is the place.
  struct TwoHop {
    StoryFact fact;      // statement: the first hop
    std::string second;  // the other hop's
  };
  std::vector<TwoHop> draw_two_hops(size_t others);
  std::string new_name();
  Random& random() { return random_; }

 private:
  Random& random_;
  Unique names_, things_;
};

}  // namespace fathom::eval
