#include "kv/fetch/lserve.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kv/fetch/page_bounds.h"
#include "kv/fetch/runs.h"

namespace fathom::kv {
namespace {

struct Options {
  size_t page, logical, budget, sinks, reuse;
  bool per_query_head;
};

class LServeIndex final : public FetchIndex {
 public:
  explicit LServeIndex(const Options& options) : options_(options), bounds_(options.logical) {}

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<LServeIndex>(*this);
  }
  void reads(FetchCall call, size_t tokens, const QueryView&, std::span<const float>,
             FetchReads& out) override {
    if (call == FetchCall::kUpdate) add_run(bounds_.first_unread(tokens), tokens, out.k);
  }
  void update(const HeadView& head) override {
    bounds_.update(head);
    if (head.tokens < chosen_at_) chosen_.clear();  // what was chosen may be gone
  }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    if (head.tokens <= options_.budget) {
      for (Runs& r : runs) r = all_of(head.tokens);
      return;
    }
    const size_t pages = (head.tokens + options_.page - 1) / options_.page;
    if (chosen_.size() != runs.size() || (head.tokens - 1) % options_.reuse == 0) {
      choose(head, query, pages, runs.size());
    }
    const auto last = static_cast<int32_t>(pages - 1);
    for (size_t i = 0; i < runs.size(); ++i) {
      if (chosen_[i].back() != last) chosen_[i].push_back(last);  // a page was begun since
      runs[i].clear();
      add_blocks(chosen_[i], options_.page, head.tokens, runs[i]);
    }
  }

  size_t bytes() const override { return bounds_.bytes(); }

 private:
  void choose(const HeadView& head, const QueryView& query, size_t pages, size_t lists) {
    bounds_.score(head, query, scores_);
    if (!options_.per_query_head) max_over_group(query.group, scores_);
    const size_t logical = bounds_.pages(), per_page = options_.page / options_.logical;
    const size_t count = std::max<size_t>(3, options_.budget / options_.page);
    chosen_.resize(lists);
    chosen_at_ = head.tokens;
    for (size_t i = 0; i < lists; ++i) {
      page_scores_.assign(pages, -INFINITY);
      for (size_t l = 0; l < logical; ++l) {
        float& s = page_scores_[l / per_page];
        s = std::max(s, scores_[i * logical + l]);
      }
      choose_blocks(page_scores_, {count, options_.sinks, 1}, best_, chosen_[i]);
    }
  }

  Options options_;
  PageBounds bounds_;
  TopK best_;
  std::vector<float> scores_, page_scores_;
  std::vector<std::vector<int32_t>> chosen_;  // of each list, ascending
  size_t chosen_at_ = 0;
};

class LServe final : public FetchPolicy {
 public:
  explicit LServe(const Options& options) : options_(options) {}
  FetchNeeds needs() const override { return {.per_query_head = options_.per_query_head}; }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<LServeIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"budget", "4096", "", 1, 1e9, "keys that are read; at least three pages"},
    {"page", "64", "", 1, 4096, "keys that are read together"},
    {"logical", "16", "", 1, 4096, "keys that share a bound; divides the page"},
    {"reuse", "4", "", 1, 1024, "steps that a choice serves"},
    {"sinks", "1", "", 0, 1e6, "first pages that are always read; the authors' code: 0"},
    {"heads", "group", "group|each", 0, 0, "who chooses: the group together or each query head"},
};

}  // namespace

MethodInfo lserve_fetch_info() {
  return {.stage = Stage::kFetch,
          .name = "lserve",
          .summary = "pages of 64 by the best bound of their 16s; a choice serves four steps",
          .paper = "LServe, 2025, arXiv:2502.14866",
          .cost =
              "2 * head_dim / logical / reuse multiply-adds a key and query head; "
              "8 * head_dim / logical bytes a key",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_lserve_fetch(const Parameters& p) {
  const Options options{p.count("page"),  p.count("logical"), p.count("budget"),
                        p.count("sinks"), p.count("reuse"),   p.text("heads") == "each"};
  if (options.page % options.logical != 0) {
    throw usage_error("--kv", "'logical' {} does not divide 'page' {}", options.logical,
                      options.page);
  }
  return std::make_unique<LServe>(options);
}

}  // namespace fathom::kv
