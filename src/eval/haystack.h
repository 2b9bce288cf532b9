// Prose with facts hidden in it: the text of `fathom demo`, and of tests that look for needles.
//
// The prose is put together from our own sentences; text and facts are a function of the options
// alone, on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::eval {

struct Fact {
  std::string attribute;  // "code"
  std::string thing;      // "amber lantern"
  std::string value;      // "58291"

  std::string sentence() const;  // "The code of the amber lantern is 58291."
  std::string question() const;  // "What is the code of the amber lantern?"
};

struct Haystack {
  std::string text;
  std::vector<Fact> facts;  // in the order of the text
};

struct HaystackOptions {
  uint64_t seed = 1;
  size_t characters = 8000;  // about
  size_t facts = 5;
};

Haystack make_haystack(const HaystackOptions& options);

}  // namespace fathom::eval
