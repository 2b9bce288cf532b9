// Words that instances are made of: our own lists, and words that nobody has read before.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/function_ref.h"
#include "eval/random.h"

namespace fathom::eval {

using Words = std::span<const std::string_view>;
Words adjectives();
Words nouns();  // things one can see: "river", "lantern"
Words first_names();
Words occupations();
Words colours();
Words days();

// "Ashford": some 300 English-sounding ones.
std::string surname(Random& random);
// "Merewick": 200 places that are on no map.
std::string place_name(Random& random);
// "Clara Ashford"
std::string full_name(Random& random);
// "amber river"
std::string thing(Random& random);
// A pronounceable word of 4 to 9 letters that is in no dictionary of ours.
std::string invented_word(Random& random);

// "amber-river", "4821907" (seven digits, no leading zero), "3f2c...-...": the keys and values of
// needles.
enum class KeyKind : uint8_t { kWords, kNumber, kUuid };
std::string make_key(KeyKind kind, Random& random);
std::string uuid(Random& random);
std::string digits(Random& random, size_t count);  // the first is not 0

std::string capitalized(std::string_view text);

// Draws until it gives something new.
class Unique {
 public:
  std::string draw(FunctionRef<std::string()> make) {
    for (;;) {
      std::string value = make();
      if (seen_.insert(value).second) return value;
    }
  }
  bool add(const std::string& value) { return seen_.insert(value).second; }

 private:
  std::unordered_set<std::string> seen_;
};

// `pattern` with every {slot} replaced by what `fill` gives for its name, from left to right; {{
// and
// }} stand for braces.
std::string expand(std::string_view pattern, FunctionRef<std::string(std::string_view)> fill);

}  // namespace fathom::eval
