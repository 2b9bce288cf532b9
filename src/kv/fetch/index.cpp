#include "kv/fetch/index.h"

#define NO_MANUAL_VECTORIZATION  // its prefetches read behind the last list of links
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"
#include "kv/fetch/runs.h"
#include "kv/vector.h"

namespace fathom::kv {
namespace {

using Hnsw = hnswlib::HierarchicalNSW<float>;

struct Options {
  size_t tokens, ef, init, local, links, build;
  bool per_query_head;
};

float distance(const void* a, const void* b, const void* head_dim) {
  return -dot(static_cast<const float*>(a), static_cast<const float*>(b),
              *static_cast<const size_t*>(head_dim));
}

class Products final : public hnswlib::SpaceInterface<float> {
 public:
  explicit Products(size_t head_dim) : head_dim_(head_dim) {}
  size_t get_data_size() override { return head_dim_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &head_dim_; }

 private:
  size_t head_dim_;
};

// What the library throws, as an error of ours.
template <class F>
auto translated(F call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    throw out_of_memory("fetch=index", "no memory for the graph of keys");
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kInternal, "fetch=index", e.what());
  }
}

// Keys by number, 0, 1, ... in the order in which they were added.
class KeyGraph {
 public:
  KeyGraph(size_t head_dim, const Options& options)
      : head_dim_(head_dim), options_(options), space_(head_dim), graph_(make(kStep)) {}
  KeyGraph(const KeyGraph& other)
      : head_dim_(other.head_dim_),
        options_(other.options_),
        space_(other.head_dim_),
        graph_(copy(*other.graph_, other.graph_->max_elements_)) {}

  size_t size() const { return graph_->cur_element_count; }

  void add(const float* key) {
    const size_t n = size();
    if (n == graph_->max_elements_) graph_ = copy(*graph_, n + std::max(kStep, n / 8));
    translated([&] { graph_->addPoint(key, n); });
  }

  // The numbers of `count` keys, the largest product first; exact where ef covers the graph.
  void search(const float* q, size_t count, std::vector<int32_t>& out) {
    const size_t n = size();
    out.clear();
    if (n <= options_.ef) {
      scores_.resize(n);
      for (size_t i = 0; i < n; ++i) scores_[i] = -distance(q, key(i), &head_dim_);
      const std::vector<int32_t>& ranked = best_.ranked(scores_);
      out.assign(ranked.begin(), ranked.begin() + static_cast<ptrdiff_t>(std::min(count, n)));
      return;
    }
    graph_->setEf(options_.ef);
    auto found = translated([&] { return graph_->searchKnn(q, count); });
    for (; !found.empty(); found.pop()) out.push_back(static_cast<int32_t>(found.top().second));
    std::reverse(out.begin(), out.end());
  }

  size_t bytes() const {
    const Hnsw& g = *graph_;
    // Links of the lowest level with the key, pointers, levels, two locks, marks, a hash table's
    // entry; links of upper levels.
    constexpr size_t kEntry = 4 * sizeof(void*);
    size_t bytes = g.max_elements_ * (g.size_data_per_element_ + sizeof(char*) + sizeof(int) +
                                      2 * sizeof(std::mutex) + sizeof(hnswlib::vl_type)) +
                   size() * kEntry + scores_.capacity() * sizeof(float);
    for (size_t i = 0; i < size(); ++i) bytes += upper_bytes(g, i);
    return bytes;
  }

 private:
  static constexpr size_t kStep = 64;  // keys by which it grows, at least

  static size_t upper_bytes(const Hnsw& g, size_t i) {
    const auto levels = static_cast<size_t>(g.element_levels_[i]);
    return levels == 0 ? 0 : levels * g.size_links_per_element_ + 1;
  }
  const void* key(size_t i) const {
    return graph_->getDataByInternalId(static_cast<hnswlib::tableint>(i));
  }

  std::unique_ptr<Hnsw> make(size_t capacity) {
    return translated([&] {
      auto graph = std::make_unique<Hnsw>(&space_, capacity, options_.links, options_.build, 1);
      // One lock for each of 65536 keys, of which it uses as many as there are keys.
      const size_t locks = std::min<size_t>(capacity, Hnsw::max_update_element_locks);
      std::vector<std::mutex>(locks).swap(graph->link_list_update_locks_);
      return graph;
    });
  }

  // The library copies graphs through files only.
  std::unique_ptr<Hnsw> copy(const Hnsw& from, size_t capacity) {
    auto to = make(capacity);
    const size_t n = from.cur_element_count;
    std::memcpy(to->data_level0_memory_, from.data_level0_memory_, n * from.size_data_per_element_);
    translated([&] { to->label_lookup_ = from.label_lookup_; });
    for (size_t i = 0; i < n; ++i, ++to->cur_element_count) {
      const size_t bytes = upper_bytes(from, i);
      if (bytes == 0) continue;
      to->linkLists_[i] = static_cast<char*>(std::malloc(bytes));
      if (!to->linkLists_[i]) throw out_of_memory("fetch=index", "no memory for links");
      std::memcpy(to->linkLists_[i], from.linkLists_[i], bytes);
      to->element_levels_[i] = from.element_levels_[i];
    }
    to->enterpoint_node_ = from.enterpoint_node_;
    to->maxlevel_ = from.maxlevel_;
    to->level_generator_ = from.level_generator_;
    return to;
  }

  size_t head_dim_;
  Options options_;
  Products space_;
  std::unique_ptr<Hnsw> graph_;
  std::vector<float> scores_;
  TopK best_;
};

class KeyIndex final : public FetchIndex {
 public:
  explicit KeyIndex(const Options& options) : options_(options) {}
  KeyIndex(const KeyIndex& other) : FetchIndex(), options_(other.options_) {
    if (other.graph_) graph_ = std::make_unique<KeyGraph>(*other.graph_);
  }
  KeyIndex& operator=(const KeyIndex&) = delete;

  std::unique_ptr<FetchIndex> clone() const override { return std::make_unique<KeyIndex>(*this); }
  void reads(FetchCall call, size_t tokens, const QueryView&, std::span<const float>,
             FetchReads& out) override {
    if (call == FetchCall::kUpdate) add_run(known(tokens), wanted(tokens), out.k);
  }

  void update(const HeadView& head) override {
    const size_t first = known(head.tokens), end = wanted(head.tokens);
    if (first < this->end()) graph_.reset();
    if (first >= end) return;
    try {
      if (!graph_) graph_ = std::make_unique<KeyGraph>(head.head_dim, options_);
      for (size_t i = first; i < end; ++i) graph_->add(head.key(i));
    } catch (...) {
      graph_.reset();  // half a key may be in it
      throw;
    }
  }

  void select(const HeadView& head, const QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    if (reads_all(head.tokens)) {
      for (Runs& r : runs) r = all_of(head.tokens);
      return;
    }
    const size_t window = head.tokens - options_.local;
    for (size_t g = 0; g < query.group; ++g) {
      if (g == 0 || options_.per_query_head) chosen_.clear();
      find(query.row(0, g, head.head_dim), window);
      if (!options_.per_query_head && g + 1 < query.group) continue;
      std::sort(chosen_.begin(), chosen_.end());
      chosen_.erase(std::unique(chosen_.begin(), chosen_.end()), chosen_.end());
      Runs& list = runs[options_.per_query_head ? g : 0];
      list.clear();
      add_run(0, options_.init, list);
      add_tokens(chosen_, list);
      add_run(window, head.tokens, list);
    }
  }

  size_t bytes() const override { return graph_ ? graph_->bytes() : 0; }

 private:
  // Adds the best keys before the window to chosen_.
  void find(const float* q, size_t window) {
    const size_t inside = end() - window;  // keys of the window that the graph holds
    graph_->search(q, options_.tokens + inside, found_);
    size_t added = 0;
    for (const int32_t i : found_) {
      const size_t token = options_.init + static_cast<size_t>(i);
      if (token >= window || added == options_.tokens) continue;
      chosen_.push_back(static_cast<int32_t>(token));
      ++added;
    }
  }

  bool reads_all(size_t tokens) const {
    return tokens <= options_.init + options_.local + options_.tokens;
  }
  // The graph holds keys [init, end()).
  size_t end() const { return options_.init + (graph_ ? graph_->size() : 0); }
  // What it should hold of a head of `tokens`: no key, as long as everything is read.
  size_t wanted(size_t tokens) const {
    return reads_all(tokens) ? options_.init : tokens - options_.local;
  }
  // Where building goes on.
  size_t known(size_t tokens) const { return end() <= tokens ? end() : options_.init; }

  Options options_;
  std::unique_ptr<KeyGraph> graph_;
  std::vector<int32_t> found_, chosen_;
};

class IndexFetch final : public FetchPolicy {
 public:
  explicit IndexFetch(const Options& options) : options_(options) {}
  FetchNeeds needs() const override { return {.per_query_head = options_.per_query_head}; }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<KeyIndex>(options_);
  }

 private:
  Options options_;
};

constexpr ParameterInfo kParameters[] = {
    {"tokens", "100", "", 1, 1e9, "keys that a query head finds"},
    {"ef", "200", "", 1, 1e9, "keys that a search keeps in view; as many as the graph has: exact"},
    {"init", "128", "", 0, 1e9, "first keys that are always read"},
    {"local", "512", "", 1, 1e9, "last keys that are always read"},
    {"links", "16", "", 2, 1024, "links of a key"},
    {"build", "200", "", 1, 1e6, "keys that are in view when a key is linked"},
    {"heads", "union", "each|union", 0, 0,
     "what is read: each query head's own keys, or all that the group finds"},
};

}  // namespace

MethodInfo index_info() {
  return {.stage = Stage::kFetch,
          .name = "index",
          .summary = "first and last keys, and the best that a graph of keys finds; slow to build",
          .paper = "unchecked: after RetrievalAttention, 2024, arXiv:2409.10516",
          .cost =
              "prompt: thousands of multiply-adds with head_dim a key; a copy of the keys in f32, "
              "8 * links + 140 bytes a key",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_index_fetch(const Parameters& p) {
  return std::make_unique<IndexFetch>(Options{p.count("tokens"), p.count("ef"), p.count("init"),
                                              p.count("local"), p.count("links"), p.count("build"),
                                              p.text("heads") == "each"});
}

}  // namespace fathom::kv
