#include "file/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "base/half.h"
#include "file/byte_reader.h"
#include "file/json_text.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

// The official limit is 100 MB; a header of a million tensors takes less than this.
constexpr JsonLimits kHeaderLimits{.bytes = 100'000'000, .depth = 4, .values = 2u << 20};
constexpr JsonLimits kIndexLimits{.bytes = 32u << 20, .depth = 8, .values = 1u << 20};
constexpr size_t kMaxAxes = 32;

struct ElementInfo {
  ElementType type;
  std::string_view name;
  size_t bytes;
};
constexpr ElementInfo kElements[] = {
    {ElementType::kBool, "BOOL", 1},      {ElementType::kU8, "U8", 1},
    {ElementType::kI8, "I8", 1},          {ElementType::kF8E4M3, "F8_E4M3", 1},
    {ElementType::kF8E5M2, "F8_E5M2", 1}, {ElementType::kU16, "U16", 2},
    {ElementType::kI16, "I16", 2},        {ElementType::kF16, "F16", 2},
    {ElementType::kBF16, "BF16", 2},      {ElementType::kU32, "U32", 4},
    {ElementType::kI32, "I32", 4},        {ElementType::kF32, "F32", 4},
    {ElementType::kU64, "U64", 8},        {ElementType::kI64, "I64", 8},
    {ElementType::kF64, "F64", 8},
};

const ElementInfo& element(ElementType type) { return kElements[static_cast<size_t>(type)]; }

ElementType element_called(const JsonView& field) {
  for (const ElementInfo& e : kElements) {
    if (e.name == field.as_text()) return e.type;
  }
  throw unsupported(field.source(), "{} is {}, an element type that is not known", field.path(),
                    quoted_name(field.as_text()));
}

uint64_t natural(const JsonView& number) {
  const int64_t value = number.as_integer();
  if (value < 0) throw bad_file(number.source(), "{} is {}", number.path(), value);
  return static_cast<uint64_t>(value);
}

struct ByteRange {
  uint64_t begin = 0, end = 0;
};

ByteRange byte_range(const JsonView& tensor) {
  const JsonView field = tensor.require("data_offsets");
  if (field.size() != 2) throw bad_file(field.source(), "{} is not two numbers", field.path());
  return {natural(field.element(0)), natural(field.element(1))};
}

SafetensorsView read_view(const JsonView& tensor, std::span<const std::byte> data) {
  const std::string& source = tensor.source();
  SafetensorsView view;
  view.type = element_called(tensor.require("dtype"));
  const JsonView shape = tensor.require("shape");
  if (!shape.is_array() || shape.size() > kMaxAxes) {
    throw bad_file(source, "{} is not a list of at most {} sizes", shape.path(), kMaxAxes);
  }
  std::optional<uint64_t> bytes = element_bytes(view.type);
  for (size_t i = 0; i < shape.size(); ++i) {
    view.shape.push_back(natural(shape.element(i)));
    if (bytes) bytes = checked_mul(*bytes, view.shape.back());
  }
  const ByteRange range = byte_range(tensor);
  if (range.begin > range.end || range.end > data.size()) {
    throw bad_file(source, "{} lies at {} to {}, but there are {} bytes of data", tensor.path(),
                   range.begin, range.end, data.size());
  }
  if (!bytes || *bytes != range.end - range.begin) {
    throw bad_file(source, "{} is {} bytes long, which its shape [{}] of {} is not", tensor.path(),
                   range.end - range.begin, fmt::join(view.shape, ", "), element_name(view.type));
  }
  view.data = data.subspan(range.begin, *bytes);
  return view;
}

void read_text_metadata(const JsonView& entry, std::map<std::string, std::string>& out) {
  if (!entry.is_object()) throw bad_file(entry.source(), "__metadata__ is not an object");
  for (const auto& [key, unused] : entry.json().items()) out[key] = entry.require_text(key);
}

// The tensors, sorted, must cover the data exactly.
void check_tiling(const SafetensorsContents& contents, std::span<const std::byte> data,
                  const std::string& source) {
  const std::byte* expected = data.data();
  for (const SafetensorsView& view : contents.tensors) {
    if (view.data.data() != expected) {
      throw bad_file(source, "tensor {} begins at {} of the data, where {} was expected",
                     quoted_name(view.name), view.data.data() - data.data(),
                     expected - data.data());
    }
    expected += view.data.size();
  }
  if (expected != data.data() + data.size()) {
    throw bad_file(source, "holds {} bytes of data, {} of them no tensor's", data.size(),
                   data.data() + data.size() - expected);
  }
}

bool plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

std::string_view element_name(ElementType type) { return element(type).name; }
size_t element_bytes(ElementType type) { return element(type).bytes; }

SafetensorsContents read_safetensors(const MappedFile& file) {
  const std::string& source = file.path();
  ByteReader in(file.bytes(), source);
  const uint64_t length = in.read<uint64_t>("the header's length");
  if (length > kHeaderLimits.bytes) {
    throw bad_file(source, "has a header of {} bytes; at most {} are read", length,
                   kHeaderLimits.bytes);
  }
  const auto text = in.take(length, "the header");
  const auto data = file.bytes().subspan(in.offset());
  const Json json =
      parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, source, kHeaderLimits);
  const JsonView header(json, source);
  if (!header.is_object()) throw bad_file(source, "has a header that is not a JSON object");

  SafetensorsContents contents;
  for (const auto& [name, unused] : json.items()) {
    const JsonView entry = header.require(name);
    if (name == "__metadata__") {
      read_text_metadata(entry, contents.metadata);
      continue;
    }
    contents.tensors.push_back(read_view(entry, data));
    contents.tensors.back().name = name;
  }
  // Where several begin at the same byte, all but the last are empty.
  std::sort(contents.tensors.begin(), contents.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.data.data(), a.data.size()) < std::pair(b.data.data(), b.data.size());
  });
  check_tiling(contents, data, source);
  return contents;
}

SafetensorsFile::SafetensorsFile(MappedFile file) : file_(std::move(file)) {
  contents_ = read_safetensors(file_);
  for (size_t i = 0; i < contents_.tensors.size(); ++i) by_name_[contents_.tensors[i].name] = i;
}

const SafetensorsView* SafetensorsFile::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &contents_.tensors[it->second];
}

const SafetensorsView& SafetensorsFile::require(std::string_view name) const {
  if (const SafetensorsView* view = find(name)) return *view;
  throw bad_file(path(), "tensor {} is missing", quoted_name(name));
}

namespace {

template <class Stored, class Out, class Convert>
std::vector<Out> converted(const SafetensorsView& tensor, Convert convert) {
  std::vector<Out> out(tensor.values());
  for (size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, tensor.data.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
  return out;
}

template <class Stored>
std::vector<int64_t> widened(const SafetensorsView& tensor) {
  return converted<Stored, int64_t>(tensor, [](Stored v) { return static_cast<int64_t>(v); });
}

}  // namespace

std::vector<float> to_floats(const SafetensorsView& tensor) {
  switch (tensor.type) {
    case ElementType::kF32:
      return converted<float, float>(tensor, [](float v) { return v; });
    case ElementType::kF64:
      return converted<double, float>(tensor, [](double v) { return static_cast<float>(v); });
    case ElementType::kF16:
      return converted<uint16_t, float>(tensor, [](uint16_t v) { return to_float(Half{v}); });
    case ElementType::kBF16:
      return converted<uint16_t, float>(tensor, [](uint16_t v) { return to_float(BFloat{v}); });
    default:
      break;
  }
  throw unsupported(quoted_name(tensor.name), "is {}, where floats are wanted",
                    element_name(tensor.type));
}

std::vector<int64_t> to_integers(const SafetensorsView& tensor) {
  switch (tensor.type) {
    case ElementType::kBool:
    case ElementType::kU8:
      return widened<uint8_t>(tensor);
    case ElementType::kI8:
      return widened<int8_t>(tensor);
    case ElementType::kU16:
      return widened<uint16_t>(tensor);
    case ElementType::kI16:
      return widened<int16_t>(tensor);
    case ElementType::kU32:
      return widened<uint32_t>(tensor);
    case ElementType::kI32:
      return widened<int32_t>(tensor);
    case ElementType::kU64:
    case ElementType::kI64:
      return widened<int64_t>(tensor);
    default:
      break;
  }
  throw unsupported(quoted_name(tensor.name), "is {}, where integers are wanted",
                    element_name(tensor.type));
}

SafetensorsShards parse_safetensors_index(std::string_view json, const std::string& source) {
  const Json parsed = parse_json(json, source, kIndexLimits);
  const JsonView map = JsonView(parsed, source).require("weight_map");
  if (!map.is_object()) throw bad_file(source, "weight_map is not an object");
  SafetensorsShards shards;
  for (const auto& [name, unused] : map.json().items()) {
    std::string file = map.require_text(name);
    if (!plain_file_name(file)) {
      throw bad_file(source, "puts tensor {} into {}, which is not a plain file name",
                     quoted_name(name), quoted_name(file));
    }
    shards.files.push_back(file);
    shards.file_of[name] = std::move(file);
  }
  std::sort(shards.files.begin(), shards.files.end());
  shards.files.erase(std::unique(shards.files.begin(), shards.files.end()), shards.files.end());
  if (shards.files.empty()) throw bad_file(source, "names no tensor");
  return shards;
}

SafetensorsShards find_safetensors(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path root(folder);
  const fs::path index = root / "model.safetensors.index.json";
  if (fs::exists(index, ignored)) {
    const MappedFile file(index.string());
    const auto bytes = file.bytes();
    return parse_safetensors_index({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                   file.path());
  }
  if (fs::exists(root / "model.safetensors", ignored)) return {{"model.safetensors"}, {}};
  SafetensorsShards shards;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    if (entry.path().extension() == ".safetensors") {
      shards.files.push_back(entry.path().filename().string());
    }
  }
  if (shards.files.size() == 1) return shards;
  throw with_hint(
      bad_file(folder, "has {} *.safetensors files and no index of them", shards.files.size()),
      "a folder has model.safetensors, or parts and model.safetensors.index.json");
}

}  // namespace fathom::file
