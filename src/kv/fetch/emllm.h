// EM-LLM: InfLLM with events instead of blocks of one size: a new event begins where the model was
// surprised. Neighbours of a chosen event may be read with it.
//
// Fountas et al., "Human-like Episodic Memory for Infinite Context LLMs", 2024, arXiv:2407.09450.
// Unchecked against the authors' outputs. Ours: an event begins at the surprising token (their code
// begins one earlier), surprise is judged by the `local` tokens before it, boundaries are not
// refined, and events are added while they fit the budget.
#pragma once

#include "kv/fetch/block_memory.h"
#include "kv/method.h"

namespace fathom::kv {

struct EventOptions {
  double gamma = 1.0;  // surprise above mean + gamma * deviation begins an event
  size_t least = 8, most = 128;
  size_t init = 128, local = 4096;
};

// Finds where events end. Sums over the surprises so far are kept, so a call costs the tokens that
// are new and those of one event.
class EventCutter {
 public:
  explicit EventCutter(const EventOptions& options) : options_(options) {}
  // As BlockMemory::Cut, for these surprises. A token without a surprise is not surprising.
  size_t cut(std::span<const float> surprise, size_t first, size_t limit);
  bool surprising(std::span<const float> surprise, size_t token);

 private:
  void extend(std::span<const float> surprise);
  EventOptions options_;
  std::vector<double> sums_{0.0}, squares_{0.0};  // of the tokens before each
};

MethodInfo emllm_info();
std::unique_ptr<const FetchPolicy> make_emllm(const Parameters& p);

}  // namespace fathom::kv
