// What the methods' own implementations decide on one recorded layer: ../shared/reference/methods,
// read in place. A test that needs it begins with FATHOM_NEEDS_METHOD_REFERENCE().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "file/safetensors.h"
#include "kv/replay/recording.h"
#include "support/shared_data.h"

namespace fathom::test {

// The recorded layer; read once a process.
const kv::Recording& recorded_layer();

// expected.safetensors, by name. A name that is not there fails the test with Error(kBadFile).
std::vector<float> expected_floats(const std::string& name);
std::vector<int64_t> expected_integers(const std::string& name);
std::vector<uint64_t> expected_shape(const std::string& name);

}  // namespace fathom::test

#define FATHOM_NEEDS_METHOD_REFERENCE() \
  FATHOM_NEEDS_SHARED("reference/methods/expected.safetensors")
