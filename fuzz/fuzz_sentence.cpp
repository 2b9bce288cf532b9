// Any bytes as text: sentences partition it.
#include "base/error.h"
#include "fuzz_input.h"
#include "text/sentence.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  size_t last = 0;
  for (const size_t end : text::sentence_ends(fuzz::text_of(data, size))) {
    FATHOM_CHECK(end > last);
    last = end;
  }
  FATHOM_CHECK(last == size);
  return 0;
}
