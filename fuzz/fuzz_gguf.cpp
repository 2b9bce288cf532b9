// Any bytes as a GGUF file: opened with every view in bounds, or refused with an Error.
#include "base/error.h"
#include "file/gguf.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  try {
    const file::Checkpoint c = file::read_gguf(fuzz::file_of(data, size));
    volatile unsigned sink = 0;
    for (const file::TensorView& t : c.tensors()) {
      FATHOM_CHECK(t.data.size() == t.rows() * t.row_bytes());
      FATHOM_CHECK(c.find(t.name) == &t);
      sink = sink + std::to_integer<unsigned>(t.data.front()) +
             std::to_integer<unsigned>(t.data.back());
    }
  } catch (const Error&) {
  }
  return 0;
}
