// Any bytes as what `fathom recommend` keeps for a model.
#include "base/error.h"
#include "cli/recommended.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  try {
    const cli::Json kept = cli::parse_recommendation(fuzz::text_of(data, size), "fuzz");
    FATHOM_CHECK(kept.at("kv").is_string());
  } catch (const Error&) {
  }
  return 0;
}
