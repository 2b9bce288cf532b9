#include "kv/keep/streaming.h"

#include "kv/keep/budgeted.h"

namespace fathom::kv {
namespace {

constexpr ParameterInfo kParameters[] = {
    {"sinks", "4", "", 0, 1e6, "first tokens that stay"},
    {"recent", "2044", "", 1, 1e9, "last tokens that stay"},
};

}  // namespace

MethodInfo streaming_info() {
  return {.stage = Stage::kKeep,
          .name = "streaming",
          .summary = "the first tokens and a window of the last ones",
          .paper =
              "Efficient Streaming Language Models with Attention Sinks, 2023, "
              "arXiv:2309.17453",
          .cost = "none",
          .parameters = kParameters};
}

std::unique_ptr<const KeepPolicy> make_streaming(const Parameters& p) {
  const size_t sinks = p.count("sinks"), recent = p.count("recent");
  return make_budgeted(nullptr, even_budget(sinks + recent), {sinks, recent}, Eviction::kAlways);
}

}  // namespace fathom::kv
