// A policy line run on a recorded layer, stage by stage, without a model: what each stage decides,
// and the attention that comes of it.
//
// One file a stage: prefill.cpp decides and attends the prompt's rows, store.cpp encodes and
// decodes keys and values. A stage reads what stages before it left here and adds what it decided
// to `tensors`; the decode steps (decode.cpp) come last and attend to what is left. Arithmetic of
// the attention is f64, so what differs from the dense rows is the policy's doing. All of the
// prompt is encoded before its rows are attended to, as if it had been read in one step.
//
// keep.cpp and fetch.cpp take from `readable` what their policies do not leave. A store that looks
// at attention leaves the prompt plain until it is read, and encodes what KEEP left of it
// (choose.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/thread_pool.h"
#include "kv/policy.h"
#include "kv/replay/recording.h"
#include "kv/sequence_cache.h"

namespace fathom::kv {

struct ReplayTensor {
  std::string name;
  std::vector<uint64_t> shape;
  std::variant<std::vector<float>, std::vector<int32_t>> values;
};

// Lists as one tensor, [shape..., longest list], padded with -1.
ReplayTensor padded(std::string name, std::vector<uint64_t> shape,
                    const std::vector<std::vector<int32_t>>& lists);

struct Replay {
  Replay(const Recording& r, const Policy& p, ThreadPool& threads);

  const Recording& recording;
  const Policy& policy;
  ThreadPool& pool;

  // Keys and values as attention reads them, [kv_heads][tokens][head_dim]; STORE replaces them.
  std::vector<float> k, v;
  HeadView head(size_t kv_head, size_t tokens) const;

  // Indices that query head h reads at decode step s, ascending, itself included: what KEEP and
  // FETCH leave. readable[s * heads + h].
  std::vector<std::vector<int32_t>> readable;
  // What KEEP makes of a kv head for a decode step beside that. step_heads[s * kv_heads + h].
  struct StepHead {
    std::vector<float> sinks;  // [n][head_dim]: keys of the first n tokens, where these move
    ExtraToken extra;          // that stands for dropped ones
  };
  std::vector<StepHead> step_heads;
  std::vector<std::vector<int32_t>> kept;  // [kv head]: what is left of the prompt when it is read

  std::vector<Bundles> bundles;  // [kv head], of the prompt; PREFILL fills them
  std::vector<float> out, lse;   // [tokens][heads][head_dim], [tokens][heads]
  std::vector<ReplayTensor> tensors;
  std::map<std::string, double> numbers;  // for a summary
};

// The stages, in this order. Each does nothing but the exact thing where its policy is null.
void replay_store(Replay& replay);    // k_decoded, v_decoded
void replay_prefill(Replay& replay);  // prefill_*; out and lse of the prompt
void replay_keep(Replay& replay);     // kept_positions, extra_*
void replay_choose(Replay& replay);   // the same of a store that looks at attention; store_bytes
void replay_fetch(Replay& replay);    // fetched_positions
void replay_decode(Replay& replay);   // out and lse of the decode steps

// All of them, then `out` and `lse`. Throws what a policy throws, and Error(kUnsupported) where the
// recording lacks what a policy needs, or stages do not go together.
void run_replay(Replay& replay);
// How far `out` is from dense attention over the recorded keys and values: |out - dense| / |dense|,
// over the prompt's rows and over those of the decode steps (0 where there are none).
struct ReplayError {
  double prompt = 0, decode = 0;
};
ReplayError compare_with_dense(const Replay& replay);
// Tensors, the policy's line and the recording's prompt length.
void write_replay(const Replay& replay, const std::string& path);

}  // namespace fathom::kv
