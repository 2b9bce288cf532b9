// FETCH: which of the kept keys a decoding query reads.
//
// A policy keeps an index of each kv head (page bounds, block representatives, ...), which grows
// with the head, and chooses keys by the query. An index belongs to one head of one sequence and is
// used from one thread at a time; policies are immutable.
//
// The order of calls: update() whenever the head has changed; observe() with the prompt's queries,
// if the policy wants them; then for every decode step update() with the new token, rank() if heads
// decide together, select(), and observe() with the step's query. Before update(), select() and
// observe() the engine asks reads().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// Keys [first, end), by index. Lists of runs are ascending and runs do not touch.
struct Run {
  int32_t first, end;
  friend bool operator==(const Run&, const Run&) = default;
};
using Runs = std::vector<Run>;

// What an index looks at beside keys. The engine asks once, when it loads the policy.
struct FetchNeeds {
  // Queries that observe() is shown at once while the prompt is read: blocks of this many, counted
  // from position 0, the last one shorter. 0: observe() is never called.
  size_t observed = 0;
  bool unrotated = false;       // HeadView::k_unrotated and rope, QueryView::q_unrotated
  bool sentences = false;       // HeadView::text->sentence_ends
  bool surprise = false;        // HeadView::text->surprise
  bool joint = false;           // rank() is called, and the layer's heads decide together
  bool per_query_head = false;  // select() fills a list for each query head, not one for the group
};

// What the next call of a kind reads of a head: keys, unrotated keys and values of these tokens. A
// cache decodes pages only for them; the arrays of the HeadView hold nothing sensible elsewhere.
struct FetchReads {
  Runs k, k_unrotated, v;

  void clear() { k.clear(), k_unrotated.clear(), v.clear(); }
};
enum class FetchCall : uint8_t { kUpdate, kSelect, kObserve };

class FetchIndex {
 public:
  virtual ~FetchIndex() = default;
  virtual std::unique_ptr<FetchIndex> clone() const = 0;
  // Adds what the next `call` reads, for a head of `tokens`; `queries` and `agreed` are those of
  // the call (none for update()). rank() reads nothing of the head.
  virtual void reads(FetchCall call, size_t tokens, const QueryView& queries,
                     std::span<const float> agreed, FetchReads& out) = 0;
  // The head has grown (its first tokens are as they were), or lost its tokens from `tokens` on.
  virtual void update(const HeadView& head) = 0;

  // Adds up scores of the index's blocks for these queries into `scores`, which it enlarges as
  // needed. The engine lets all kv heads of a layer add to one vector and hands it to the next
  // observe() or select() of each as `agreed`; that is empty where needs().joint is not set.
  virtual void rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores);
  // These queries, which the head's tokens already include, have been answered.
  virtual void observe(const HeadView& head, const QueryView& queries,
                       std::span<const float> agreed);
  // Indices of the keys that the query reads, its own among them. `query` holds one token, the
  // head's last. `runs`: one list, or one for each query head of the group.
  virtual void select(const HeadView& head, const QueryView& query, std::span<const float> agreed,
                      std::span<Runs> runs) = 0;
  virtual size_t bytes() const = 0;
};

inline void FetchIndex::rank(const HeadView&, const QueryView&, std::vector<float>&) {}
inline void FetchIndex::observe(const HeadView&, const QueryView&, std::span<const float>) {}

class FetchPolicy {
 public:
  virtual ~FetchPolicy() = default;
  virtual FetchNeeds needs() const { return {}; }
  virtual std::unique_ptr<FetchIndex> make_index() const = 0;
};

}  // namespace fathom::kv
