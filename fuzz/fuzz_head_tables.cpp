// Any bytes as a table of MInference's patterns and as a table of gates.
#include "base/error.h"
#include "fuzz_input.h"
#include "kv/head_table.h"
#include "kv/prefill/minference_table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  try {
    for (const auto& layer : kv::parse_minference_table(fuzz::text_of(data, size), "fuzz")) {
      for (const auto& [head, pattern] : layer) FATHOM_CHECK(pattern.first <= 1 << 24);
    }
  } catch (const Error&) {
  }
  try {
    const kv::HeadTable gates = kv::parse_head_table(fuzz::text_of(data, size), "fuzz");
    FATHOM_CHECK(gates.kv_heads * gates.layers() == gates.values.size());
    FATHOM_CHECK(kv::full_heads(gates, 0.5).size() == gates.values.size());
  } catch (const Error&) {
  }
  return 0;
}
