#include "file/safetensors_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/checked.h"
#include "base/error.h"
#include "file/atomic_file.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

void check(const SafetensorsView& tensor) {
  if (tensor.name == "__metadata__") throw usage_error("tensor name", "__metadata__ is reserved");
  std::optional<uint64_t> bytes = element_bytes(tensor.type);
  for (const uint64_t axis : tensor.shape) {
    if (bytes) bytes = checked_mul(*bytes, axis);
  }
  if (bytes != tensor.data.size()) {
    throw usage_error(quoted_name(tensor.name), "has {} bytes, which its shape [{}] of {} has not",
                      tensor.data.size(), fmt::join(tensor.shape, ", "), element_name(tensor.type));
  }
}

std::string header_of(std::span<const SafetensorsView* const> tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const SafetensorsView* t : tensors) {
    header[t->name] = {{"dtype", element_name(t->type)},
                       {"shape", t->shape},
                       {"data_offsets", {offset, offset + t->data.size()}}};
    offset += t->data.size();
  }
  try {
    std::string text = header.dump();
    text.resize(round_up(text.size(), 8), ' ');
    return text;
  } catch (const nlohmann::json::type_error&) {
    throw usage_error("safetensors header", "a name or a metadata text is not valid UTF-8");
  }
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const SafetensorsView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsView*> order;
  std::set<std::string_view> names;
  for (const SafetensorsView& tensor : tensors) {
    check(tensor);
    if (!names.insert(tensor.name).second) {
      throw usage_error(quoted_name(tensor.name), "is there twice");
    }
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const SafetensorsView* a, const SafetensorsView* b) {
    const size_t wide_a = element_bytes(a->type), wide_b = element_bytes(b->type);
    return wide_a != wide_b ? wide_a > wide_b : a->name < b->name;
  });
  AtomicFile out(path);
  const std::string header = header_of(order, metadata);
  const uint64_t length = header.size();
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(header);
  for (const SafetensorsView* tensor : order) out.write(tensor->data);
  out.commit();
}

}  // namespace fathom::file
