// Whether the pages with the answer are still there, and whether they are read.
#pragma once

#include <optional>
#include <span>

#include "eval/controls.h"
#include "eval/instance.h"
#include "kv/sequence_cache.h"

namespace fathom::eval {

struct GoldKept {
  std::optional<double> tokens;  // share, mean over layers and heads
  std::optional<double> layers;  // share of layers with a head that holds all of them
};
// `gold`: positions. Nothing where there are none.
GoldKept gold_kept(const kv::SequenceCache& cache, std::span<const Span> gold);

// While it lives, what FETCH reads of these positions is counted. Positions that were not kept
// cannot be read and do not count.
class GoldWatch {
 public:
  GoldWatch(Marks& marks, const kv::SequenceCache& cache, std::span<const Span> gold);
  ~GoldWatch() { marks_.watched.clear(); }
  GoldWatch(const GoldWatch&) = delete;
  GoldWatch& operator=(const GoldWatch&) = delete;
  std::optional<double> share() const;

 private:
  Marks& marks_;
};

}  // namespace fathom::eval
