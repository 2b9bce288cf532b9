// FETCH: which of the kept keys a decoding query reads.
//
// A policy keeps an index of each kv head (page bounds, block representatives, ...), which grows
// with the head, and chooses pages by the query. An index belongs to one head of one sequence and
// is used from one thread at a time; policies are immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

class FetchIndex {
 public:
  virtual ~FetchIndex() = default;
  // The head has grown (its first tokens are as they were), or lost its tokens from `tokens` on.
  virtual void update(const HeadView& head) = 0;
  // Indices of the keys that query head `group_head` reads, as runs [first, end), ascending and not
  // touching. `query` holds one token.
  struct Run {
    int32_t first, end;
  };
  virtual void select(const HeadView& head, const QueryView& query, size_t group_head,
                      std::vector<Run>& runs) = 0;
  virtual size_t bytes() const = 0;
};

class FetchPolicy {
 public:
  virtual ~FetchPolicy() = default;
  virtual std::unique_ptr<FetchIndex> make_index() const = 0;
};

}  // namespace fathom::kv
