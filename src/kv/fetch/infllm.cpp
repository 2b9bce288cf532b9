#include "kv/fetch/infllm.h"

#include <algorithm>

#include "base/error.h"
#include "kv/fetch/runs.h"

namespace fathom::kv {
namespace {

class InfLlm final : public FetchPolicy {
 public:
  InfLlm(const BlockMemoryOptions& options, size_t block, size_t count)
      : options_(options), block_(block), count_(count) {}
  FetchNeeds needs() const override {
    return {.observed = options_.observed, .unrotated = true, .joint = true};
  }
  std::unique_ptr<FetchIndex> make_index() const override {
    return std::make_unique<InfLlmIndex>(options_, block_, count_);
  }

 private:
  BlockMemoryOptions options_;
  size_t block_, count_;
};

constexpr ParameterInfo kParameters[] = {
    {"init", "128", "", 0, 1e9, "first keys that are always read"},
    {"local", "4096", "", 1, 1e9, "last keys that are always read"},
    {"block", "128", "", 1, 1e6, "keys of a block"},
    {"blocks", "16", "", 1, 1e6, "blocks that a step reads"},
    {"represent", "4", "", 1, 1e6, "keys whose mean stands for a block"},
    {"observed", "512", "", 1, 1e6, "queries of the prompt that choose together"},
};

}  // namespace

std::vector<int32_t> infllm_choice(std::span<const float> agreed, size_t blocks, size_t count) {
  FATHOM_CHECK(agreed.size() >= blocks);
  return top_k(agreed.first(blocks), count);
}

InfLlmIndex::InfLlmIndex(const BlockMemoryOptions& options, size_t block, size_t count)
    : memory_(options,
              [block](size_t first, size_t limit) {
                return first + block <= limit ? first + block : size_t{0};
              }),
      count_(count) {}

void InfLlmIndex::reads(FetchCall call, size_t, const QueryView& queries,
                        std::span<const float> agreed, FetchReads& out) {
  if (call != FetchCall::kObserve) return;
  memory_.reads(queries, infllm_choice(agreed, memory_.blocks(), count_), out);
}

void InfLlmIndex::rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores) {
  memory_.rank(head, queries, scores);
}

void InfLlmIndex::observe(const HeadView& head, const QueryView& queries,
                          std::span<const float> agreed) {
  memory_.observe(head, queries, infllm_choice(agreed, memory_.blocks(), count_));
}

void InfLlmIndex::select(const HeadView& head, const QueryView&, std::span<const float> agreed,
                         std::span<Runs> runs) {
  memory_.read(head.tokens, infllm_choice(agreed, memory_.blocks(), count_), runs[0]);
}

MethodInfo infllm_info() {
  return {.stage = Stage::kFetch,
          .name = "infllm",
          .summary = "a window, and the blocks whose representatives fit the query",
          .paper = "InfLLM, 2024, arXiv:2402.04617",
          .needs = "unrotated keys and queries; the prompt's queries",
          .cost =
              "prompt: local + blocks * block products a query; step: head_dim / block "
              "multiply-adds a key and query head",
          .parameters = kParameters};
}

std::unique_ptr<const FetchPolicy> make_infllm(const Parameters& p) {
  const BlockMemoryOptions options{p.count("init"), p.count("local"), p.count("represent"),
                                   std::min(p.count("observed"), p.count("local"))};
  return std::make_unique<InfLlm>(options, p.count("block"), p.count("blocks"));
}

}  // namespace fathom::kv
