#include "support/method_reference.h"

namespace fathom::test {
namespace {

std::string methods_path(const std::string& name) {
  return shared("reference/methods/" + name).value_or("shared/reference/methods/" + name);
}

const file::SafetensorsFile& expected() {
  static const file::SafetensorsFile file(methods_path("expected.safetensors"));
  return file;
}

}  // namespace

const kv::Recording& recorded_layer() {
  static const kv::Recording recording(methods_path("layer2.safetensors"));
  return recording;
}

std::vector<float> expected_floats(const std::string& name) {
  return file::to_floats(expected().require(name));
}
std::vector<int64_t> expected_integers(const std::string& name) {
  return file::to_integers(expected().require(name));
}
std::vector<uint64_t> expected_shape(const std::string& name) {
  return expected().require(name).shape;
}

}  // namespace fathom::test
