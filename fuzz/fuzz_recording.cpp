// Any bytes as a recorded attention layer, on which policies are run where it is small.
#include <cmath>

#include "base/error.h"
#include "fuzz_input.h"
#include "kv/replay/replay.h"

namespace {

using namespace fathom;

constexpr const char* kLines[] = {
    "store=f32",
    "prefill=xattention keep=snapkv(budget=8,window=4) store=k4v4(tail=0) fetch=quest(budget=16)",
    "prefill=minference keep=h2o(heavy=8,recent=8) store=rotate2(tail=0) fetch=recycled",
    "prefill=flexprefill keep=expected store=q8/k2v2(tail=0)",
    "prefill=anchor keep=pyramid(budget=16) store=ksort fetch=lserve",
    "prefill=hip store=nf4(basis=hadamard,tail=0) fetch=infllm",
    "prefill=zipvl keep=merging store=think(tail=0)",
    "prefill=tri_shape keep=streaming store=zipvl fetch=all",
    "prefill=a_shape store=bf16 fetch=index",
    "prefill=hyper store=f16 fetch=longheads",
};

void read(const kv::Recording& r) {
  FATHOM_CHECK(r.prompt() >= 1 && r.prompt() <= r.tokens());
  for (size_t h = 0; h < r.kv_heads(); ++h) {
    const kv::HeadView head = r.head(h, r.tokens());
    const kv::QueryView queries = r.queries(h, 0, r.tokens());
    const float* last_key = head.key(r.tokens() - 1);
    const float* last_query = queries.row(r.tokens() - 1, r.group() - 1, r.head_dim());
    for (size_t c = 0; c < r.head_dim(); ++c) {
      FATHOM_CHECK(std::isfinite(last_key[c] * last_query[c]));
    }
  }
}

void run(const kv::Recording& r, const char* line) {
  const auto pool = ThreadPool::shared(1);
  try {
    const kv::Policy policy = kv::make_policy(kv::parse_policy(line), kernel::KvFormat::kBF16);
    kv::Replay replay(r, policy, *pool);
    kv::run_replay(replay);
  } catch (const Error& error) {
    FATHOM_CHECK(error.code() == ErrorCode::kUnsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const kv::Recording r(file::SafetensorsFile(fuzz::file_of(data, size)));
    read(r);
    if (r.tokens() * r.heads() * r.head_dim() > 1 << 14) return 0;
    run(r, kLines[data[size - 1] % std::size(kLines)]);
  } catch (const Error&) {
  }
  return 0;
}
