#include "kv/fetch/quest.h"

#include <algorithm>

#include "kv/fetch/page_bounds.h"
#include "kv/fetch/runs.h"

namespace fathom::kv {
namespace {

struct Options {
  size_t page, budget, sinks, recent;
  enum class Heads : uint8_t { kGroup, kEach, kUnion } heads;
};

Options::Heads heads_of(const std::string& name) {
  if (name == "each") return Options::Heads::kEach;
  return name == "union" ? Options::Heads::kUnion : Options::Heads::kGroup;
}

class QuestIndex final : public FetchIndex {
 public:
  explicit QuestIndex(const Options& options) : options_(options), bounds_(options.page) {}

  std::unique_ptr<FetchIndex> clone() const override { return std::make_unique<QuestIndex>(*this); }
  void reads(FetchCall call, size_t tokens, const QueryView&, std::span<const float>,
             FetchReads& out) override {
    if (call == FetchCall::kUpdate) add_run(bounds_.first_unread(tokens), tokens, out.k);
  }
  void update(const HeadView& head) override { bounds_.update(head); }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    if (head.tokens <= options_.budget) {
      for (Runs& r : runs) r = all_of(head.tokens);
      return;
    }
    bounds_.score(head, query, scores_);
    if (options_.heads == Options::Heads::kGroup) max_over_group(query.group, scores_);
    const size_t count = std::max<size_t>(3, options_.budget / options_.page);
    all_.clear();
    for (size_t at = 0, i = 0; at < scores_.size(); at += bounds_.pages(), ++i) {
      const auto scores = std::span(scores_).subspan(at, bounds_.pages());
      choose_blocks(scores, {count, options_.sinks, options_.recent}, best_, chosen_);
      Runs& list = runs[std::min(i, runs.size() - 1)];
      list.clear();
      add_blocks(chosen_, options_.page, head.tokens, list);
      if (options_.heads == Options::Heads::kUnion)
        all_.insert(all_.end(), list.begin(), list.end());
    }
    if (options_.heads != Options::Heads::kUnion) return;
    sort_runs(all_);
    runs[0] = all_;
  }

  size_t bytes() const override { return bounds_.bytes(); }

 private:
  Options options_;
  PageBounds bounds_;
  TopK best_;
  std::vector<float> scores_;
  std::vector<int32_t> chosen_;
  Runs all_;  // of the group's choices
};

class Quest final : public FetchPolicy {
 public:
  explicit Quest(const Options& options) : options_(options) {}
  FetchNeeds needs() const override {
    return {.per_query_head = options_.heads == Options::Heads::kEach};
  }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<QuestIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "2048", "", 1, 1e9, "keys that are read; at least three pages"},
    {"page", "16", "", 1, 4096, "keys that share a bound"},
    {"sinks", "1", "", 0, 1e6, "first pages that are always read; the authors' code: 0"},
    {"recent", "1", "", 0, 1e6, "last pages that are always read; the authors' code: 0"},
    {"heads", "group", "group|each|union", 0, 0,
     "who chooses: the group together, each query head for itself, or each for the whole group"},
};

}  // namespace

MethodInfo quest_info() {
  return {.stage = Stage::kFetch,
          .name = "quest",
          .summary = "the pages whose bounds promise the largest products",
          .paper = "Quest, 2024, arXiv:2406.10774",
          .cost =
              "2 * head_dim / page multiply-adds a key and query head; 8 * head_dim / page "
              "bytes a key, half of that with keys of 16 bits",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_quest(const Parameters& p) {
  return std::make_unique<Quest>(Options{p.count("page"), p.count("budget"), p.count("sinks"),
                                         p.count("recent"), heads_of(p.text("heads"))});
}

}  // namespace fathom::kv
