// A FETCH method whose choices an evaluation can see: it passes everything on to the method, and
// writes into Marks (controls.h) what was read.
#pragma once

#include <memory>
#include <vector>

#include "eval/controls.h"
#include "kv/fetch/fetch_policy.h"

namespace fathom::eval {

// All keys of a head, as it grows.
class KeyCopy {
 public:
  // The keys that the next update() copies.
  void reads(size_t tokens, kv::FetchReads& out) const;
  void update(const kv::HeadView& head);
  // The softmax weights of every key, [tokens], mean over the group.
  std::vector<float> weights(const kv::HeadView& head, const kv::QueryView& query) const;
  size_t bytes() const { return keys_.capacity() * sizeof(float); }

 private:
  std::vector<float> keys_;  // [tokens][head_dim]
  size_t known_ = 0;         // tokens in keys_
};

class WatchedFetch final : public kv::FetchPolicy {
 public:
  // `inner` may be null: then every key is read.
  WatchedFetch(std::shared_ptr<const kv::FetchPolicy> inner, std::shared_ptr<Marks> marks)
      : inner_(std::move(inner)), marks_(std::move(marks)) {}

  kv::FetchNeeds needs() const override;
  std::unique_ptr<kv::FetchIndex> make_index() const override;

 private:
  std::shared_ptr<const kv::FetchPolicy> inner_;
  std::shared_ptr<Marks> marks_;
};

}  // namespace fathom::eval
