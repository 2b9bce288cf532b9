// Any bytes as a recorded attention layer.
#include <cmath>

#include "base/error.h"
#include "fuzz_input.h"
#include "kv/replay/recording.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  try {
    const kv::Recording r(file::SafetensorsFile(fuzz::file_of(data, size)));
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
  } catch (const Error&) {
  }
  return 0;
}
