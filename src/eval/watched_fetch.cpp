#include "eval/watched_fetch.h"

#include <algorithm>
#include <cmath>

#include "kv/attention_rows.h"
#include "kv/fetch/runs.h"
#include "kv/vector.h"

namespace fathom::eval {
namespace {

using kv::HeadView;
using kv::QueryView;
using kv::Runs;

constexpr size_t kBlock = 64;  // keys that update() may read again

size_t overlap(const Runs& runs, const Span& wanted) {
  size_t n = 0;
  for (const kv::Run& r : runs) {
    const auto first = std::max(static_cast<size_t>(r.first), wanted.begin);
    const auto end = std::min(static_cast<size_t>(r.end), wanted.end);
    if (first < end) n += end - first;
  }
  return n;
}

class WatchedIndex final : public kv::FetchIndex {
 public:
  WatchedIndex(std::unique_ptr<kv::FetchIndex> inner, std::shared_ptr<Marks> marks)
      : inner_(std::move(inner)), marks_(std::move(marks)) {}

  std::unique_ptr<FetchIndex> clone() const override {
    auto copy = std::make_unique<WatchedIndex>(inner_ ? inner_->clone() : nullptr, marks_);
    copy->keys_ = keys_;
    return copy;
  }
  void reads(kv::FetchCall call, size_t tokens, const QueryView& queries,
             std::span<const float> agreed, kv::FetchReads& out) override {
    if (inner_) {
      inner_->reads(call, tokens, queries, agreed, out);
    } else if (call == kv::FetchCall::kUpdate) {
      keys_.reads(tokens, out);
    }
    if (call != kv::FetchCall::kSelect || !marks_->record) return;
    out.k = out.v = kv::all_of(tokens);  // for note()
  }
  void update(const HeadView& head) override {
    if (inner_) inner_->update(head);
    if (!inner_) keys_.update(head);
  }
  void rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores) override {
    if (inner_) inner_->rank(head, queries, scores);
  }
  void observe(const HeadView& head, const QueryView& queries,
               std::span<const float> agreed) override {
    if (inner_) inner_->observe(head, queries, agreed);
  }
  void select(const HeadView& head, const QueryView& query, std::span<const float> agreed,
              std::span<Runs> runs) override {
    if (inner_) {
      inner_->select(head, query, agreed, runs);
    } else {
      runs[0] = kv::all_of(head.tokens);
    }
    note(head, query, runs);
  }
  size_t bytes() const override { return inner_ ? inner_->bytes() : 0; }

 private:
  // Heads of a layer run side by side; each writes to its own place.
  void note(const HeadView& head, const QueryView& query, std::span<const Runs> runs) {
    const size_t at = head.layer * marks_->kv_heads + head.kv_head;
    if (at < marks_->watched.size()) {
      for (const Span& s : marks_->watched[at]) {
        for (const Runs& r : runs) {
          marks_->wanted += s.end - s.begin;
          marks_->fetched += overlap(r, s);
        }
      }
    }
    if (marks_->record && at < marks_->steps.size()) record(head, query, runs, at);
  }

  void record(const HeadView& head, const QueryView& query, std::span<const Runs> runs, size_t at) {
    Marks::Step& step = marks_->steps[at];
    step.runs.clear();
    for (const Runs& r : runs) step.runs.insert(step.runs.end(), r.begin(), r.end());
    kv::sort_runs(step.runs);
    if (!inner_) step.weights = keys_.weights(head, query);
    step.shape = {head.scale, head.soft_cap};
    step.queries.clear();
    for (size_t g = 0; g < query.group; ++g) {
      const float* q = query.row(0, g, head.head_dim);
      step.queries.insert(step.queries.end(), q, q + head.head_dim);
    }
    const std::vector<float>& asked =
        marks_->reference ? marks_->reference->steps[at].queries : step.queries;
    step.outputs.clear();
    if (asked.size() != step.queries.size()) return;  // the reference was not watched
    for (size_t g = 0; g < query.group; ++g) {
      const Runs& read = runs[runs.size() == query.group ? g : 0];
      step.outputs.push_back(attend_to(head, asked.data() + g * head.head_dim, read));
    }
  }

  std::unique_ptr<kv::FetchIndex> inner_;
  std::shared_ptr<Marks> marks_;
  KeyCopy keys_;
};

}  // namespace

void KeyCopy::reads(size_t tokens, kv::FetchReads& out) const {
  kv::add_run(std::min(known_, tokens) / kBlock * kBlock, tokens, out.k);
}

void KeyCopy::update(const HeadView& head) {
  const size_t first = std::min(known_, head.tokens) / kBlock * kBlock;
  keys_.resize(head.tokens * head.head_dim);
  std::copy(head.key(first), head.k + head.tokens * head.head_dim,
            keys_.begin() + static_cast<std::ptrdiff_t>(first * head.head_dim));
  known_ = head.tokens;
}

std::vector<float> KeyCopy::weights(const HeadView& head, const QueryView& query) const {
  std::vector<float> out(head.tokens), logits(head.tokens);
  for (size_t g = 0; g < query.group; ++g) {
    const float* q = query.row(0, g, head.head_dim);
    for (size_t i = 0; i < head.tokens; ++i) {
      logits[i] = head.scale * kv::dot(q, keys_.data() + i * head.head_dim, head.head_dim);
    }
    kv::cap_scores(head, logits);
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float& l : logits) sum += l = std::exp(l - top);
    const double share = 1.0 / (sum * double(query.group));
    for (size_t i = 0; i < head.tokens; ++i) out[i] += static_cast<float>(logits[i] * share);
  }
  return out;
}

kv::FetchNeeds WatchedFetch::needs() const { return inner_ ? inner_->needs() : kv::FetchNeeds{}; }

std::unique_ptr<kv::FetchIndex> WatchedFetch::make_index() const {
  return std::make_unique<WatchedIndex>(inner_ ? inner_->make_index() : nullptr, marks_);
}

}  // namespace fathom::eval
