// The policies that `fathom recommend` tries, as shares of the length that will be read.
#pragma once

#include <string>
#include <vector>

namespace fathom::eval {

// A budgeted method: its name, and the share of the tokens that it keeps or reads.
struct Budgeted {
  std::string method;  // "": everything
  double share = 1;

  bool operator==(const Budgeted&) const = default;
};

// One method a stage. What changes with the length is a share of it, so that a policy that is
// measured on a short text is the same policy on a long one.
struct Candidate {
  std::string store = "auto";
  std::string prefill = "dense";  // "{s}" stands for so many tokens: share of the length
  double prefill_share = 0;
  Budgeted keep, fetch;

  // As it is typed, for so many tokens.
  std::string line(size_t length) const;
  bool operator==(const Candidate&) const = default;
};

// Tokens of a head that its KEEP method leaves of so many.
size_t kept_tokens(const Candidate& candidate, size_t length);
// From the largest to the smallest.
const std::vector<std::string>& stores_by_size();
// The base with one of its stages changed; what promises most comes first.
std::vector<Candidate> single_changes(const Candidate& base);
// Pairs and triples of what each stage's best change is; "base" where a stage has none.
struct BestChanges {
  Candidate base, store, prefill, keep, fetch;
};
std::vector<Candidate> combinations(const BestChanges& best);

}  // namespace fathom::eval
