// A scorer and a policy made of it against the results of the method's own implementation.
#pragma once

#include "kv/keep/budgeted.h"
#include "support/decisions.h"

namespace fathom::kv::test {

using namespace fathom::test;  // NOLINT: this header is for tests of one folder
using Heads = KeptLayer::Heads;

struct ScoredCase {
  std::string name;  // of the tensors: NAME.scores [heads][prompt], .kept, .decode_out
  const Scorer* scorer = nullptr;
  const KeepPolicy* policy = nullptr;
  Tolerance scores;
  Scorer::Range range;  // scores outside are stored as "always kept"
  Heads heads = Heads::kShared;
};

std::vector<std::vector<float>> scores_of(const Scorer& scorer, const KeepView& view,
                                          Scorer::Range range);

// Scores within tolerance; kept sets equal; outputs of the decode steps within 1e-5 where the
// reference has them. A row of the reference may stand for all heads.
void expect_scored_as_reference(const ScoredCase& c);

}  // namespace fathom::kv::test
