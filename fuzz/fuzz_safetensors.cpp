// Any bytes as a safetensors file, and as an index of such files.
#include "base/error.h"
#include "file/safetensors.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  try {
    const file::SafetensorsFile file(fuzz::file_of(data, size));
    size_t bytes = 0;
    for (const file::SafetensorsView& t : file.tensors()) {
      uint64_t values = 1;
      for (const uint64_t axis : t.shape) values *= axis;
      FATHOM_CHECK(t.values() == values);
      FATHOM_CHECK(file.find(t.name) == &t);
      bytes += t.data.size();
      try {
        FATHOM_CHECK(file::to_floats(t).size() == values);
      } catch (const Error&) {
        if (t.type < file::ElementType::kF8E4M3) file::to_integers(t);
      }
    }
    FATHOM_CHECK(bytes <= size);
  } catch (const Error&) {
  }
  try {
    const auto shards = file::parse_safetensors_index(fuzz::text_of(data, size), "fuzz");
    for (const std::string& name : shards.files) {
      FATHOM_CHECK(name.find('/') == std::string::npos && name != "..");
    }
  } catch (const Error&) {
  }
  return 0;
}
