// InfLLM: init keys, a local window, and the blocks in between whose representatives fit the query
// best, one choice for all heads of a layer.
//
// Xiao et al., "InfLLM: Training-Free Long-Context Extrapolation for LLMs with an Efficient Context
// Memory", 2024, arXiv:2402.04617. Checked against the authors' code: representatives, blocks
// chosen while reading the prompt and while decoding, their scores. The authors then place distant
// keys at one distance; here keys keep their positions, so the method saves time but does not reach
// beyond the length that the model was trained for.
#pragma once

#include "kv/fetch/block_memory.h"
#include "kv/method.h"

namespace fathom::kv {

// The numbers of blocks that agreed scores choose, ascending: all where there are at most `count`.
std::vector<int32_t> infllm_choice(std::span<const float> agreed, size_t blocks, size_t count);

class InfLlmIndex final : public FetchIndex {
 public:
  InfLlmIndex(const BlockMemoryOptions& options, size_t block, size_t count);

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<InfLlmIndex>(*this);
  }
  void reads(FetchCall call, size_t tokens, const QueryView& queries, std::span<const float> agreed,
             FetchReads& out) override;
  void update(const HeadView& head) override { memory_.update(head); }
  void rank(const HeadView& head, const QueryView& queries, std::vector<float>& scores) override;
  void observe(const HeadView& head, const QueryView& queries,
               std::span<const float> agreed) override;
  void select(const HeadView& head, const QueryView& query, std::span<const float> agreed,
              std::span<Runs> runs) override;
  size_t bytes() const override { return memory_.bytes(); }
  const BlockMemory& memory() const { return memory_; }

 private:
  BlockMemory memory_;
  size_t count_;
};

MethodInfo infllm_info();
std::unique_ptr<const FetchPolicy> make_infllm(const Parameters& p);

}  // namespace fathom::kv
