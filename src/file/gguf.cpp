#include "file/gguf.h"

#include <bit>
#include <filesystem>
#include <regex>

#include "base/checked.h"
#include "base/error.h"
#include "file/byte_reader.h"

namespace fathom::file {
namespace {

// Limits that no real file comes near; they bound what a hostile one can make us allocate. Every
// counted thing also occupies bytes in the file, which is checked before anything is reserved.
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxKeys = 1 << 20;
constexpr uint64_t kMaxName = 1 << 16;
constexpr uint64_t kMaxAlignment = 1 << 20;

enum GgufType : uint32_t {
  kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64,
};

size_t scalar_bytes(uint32_t type) {
  switch (type) {
    case kU8: case kI8: case kBool: return 1;
    case kU16: case kI16: return 2;
    case kU32: case kI32: case kF32: return 4;
    case kU64: case kI64: case kF64: return 8;
    default: return 0;
  }
}

class GgufReader {
 public:
  GgufReader(CheckpointBuilder& out, const MappedFile& file)
      : out_(out), file_(file), in_(file.bytes(), file.path()) {}

  // `keep_metadata`: the later parts of a split file repeat only bookkeeping.
  void read(bool keep_metadata) {
    read_header();
    Metadata values(file_.path());
    for (uint64_t i = 0; i < keys_; ++i) read_key_value(values, i);
    const int64_t alignment = values.integer("general.alignment", 32);
    if (alignment <= 0 || alignment > static_cast<int64_t>(kMaxAlignment) ||
        !std::has_single_bit(static_cast<uint64_t>(alignment))) {
      throw bad_file(file_.path(), "general.alignment is {}, not a power of two up to {}",
                     alignment, kMaxAlignment);
    }
    if (keep_metadata) {
      for (const auto& [key, value] : values.all()) out_.metadata().set(key, value);
    }
    read_tensors(static_cast<uint64_t>(alignment));
  }

  uint32_t version() const { return version_; }

 private:
  void read_header() {
    const auto magic = in_.take(4, "the magic bytes");
    if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
      throw with_hint(bad_file(file_.path(), "is not a GGUF file (it does not begin with 'GGUF')"),
                      "MODEL is a .gguf file or a Hugging Face folder");
    }
    version_ = in_.read<uint32_t>("the version");
    if (version_ != 2 && version_ != 3) {
      throw bad_file(file_.path(), "is GGUF version {}; versions 2 and 3 are read", version_);
    }
    tensors_ = in_.read<uint64_t>("the tensor count");
    keys_ = in_.read<uint64_t>("the key count");
    // A tensor's description takes at least 24 bytes, a key's at least 13.
    if (tensors_ > kMaxTensors || tensors_ > in_.left() / 24) {
      throw bad_file(file_.path(), "tensor count {} is more than the file can hold", tensors_);
    }
    if (keys_ > kMaxKeys || keys_ > in_.left() / 13) {
      throw bad_file(file_.path(), "key count {} is more than the file can hold", keys_);
    }
  }

  std::string read_string(std::string_view field, uint64_t limit) {
    const uint64_t length = in_.read<uint64_t>(field);
    if (length > limit) throw bad_file(file_.path(), "{} is {} bytes long", field, length);
    const auto bytes = in_.take(length, field);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void read_key_value(Metadata& values, uint64_t index) {
    std::string key = read_string(fmt::format("key {}", index), kMaxName);
    const uint32_t type = in_.read<uint32_t>(key);
    Value value = type == kArray ? read_array(key) : read_scalar(type, key);
    if (values.has(key)) throw bad_file(file_.path(), "metadata key '{}' is there twice", key);
    values.set(std::move(key), std::move(value));
  }

  int64_t read_integer(uint32_t type, std::string_view key) {
    switch (type) {
      case kU8: return in_.read<uint8_t>(key);
      case kI8: return in_.read<int8_t>(key);
      case kU16: return in_.read<uint16_t>(key);
      case kI16: return in_.read<int16_t>(key);
      case kU32: return in_.read<uint32_t>(key);
      case kI32: return in_.read<int32_t>(key);
      case kI64: return in_.read<int64_t>(key);
      case kBool: return in_.read<uint8_t>(key) != 0;
      default: break;
    }
    const uint64_t value = in_.read<uint64_t>(key);
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      throw bad_file(file_.path(), "metadata key '{}' is {}, beyond 63 bits", key, value);
    }
    return static_cast<int64_t>(value);
  }

  double read_float(uint32_t type, std::string_view key) {
    return type == kF32 ? in_.read<float>(key) : in_.read<double>(key);
  }

  Value read_scalar(uint32_t type, std::string_view key) {
    if (type == kString) return read_string(key, in_.left());
    if (type == kBool) return in_.read<uint8_t>(key) != 0;
    if (type == kF32 || type == kF64) return read_float(type, key);
    if (scalar_bytes(type) == 0) {
      throw bad_file(file_.path(), "metadata key '{}' has the unknown type {}", key, type);
    }
    return read_integer(type, key);
  }

  Value read_array(std::string_view key) {
    const uint32_t type = in_.read<uint32_t>(key);
    const uint64_t count = in_.read<uint64_t>(key);
    if (type == kArray) {
      throw bad_file(file_.path(), "metadata key '{}' is an array of arrays", key);
    }
    const size_t least = type == kString ? 8 : scalar_bytes(type);
    if (least == 0) {
      throw bad_file(file_.path(), "metadata key '{}' is an array of unknown type {}", key, type);
    }
    if (count > in_.left() / least) {
      throw bad_file(file_.path(), "metadata key '{}' claims {} elements, more than the file holds",
                     key, count);
    }
    if (type == kString) {
      Strings out(count);
      for (std::string& s : out) s = read_string(key, in_.left());
      return out;
    }
    if (type == kF32 || type == kF64) {
      Floats out(count);
      for (double& x : out) x = read_float(type, key);
      return out;
    }
    Integers out(count);
    for (int64_t& x : out) x = read_integer(type, key);
    return out;
  }

  TensorView read_tensor_info(uint64_t index) {
    TensorView view;
    view.name = read_string(fmt::format("the name of tensor {}", index), kMaxName);
    const std::string field = "tensor '" + view.name + "'";
    const uint32_t axes = in_.read<uint32_t>(field);
    if (axes == 0 || axes > 4) throw bad_file(file_.path(), "{} has {} axes", field, axes);
    for (uint32_t a = 0; a < axes; ++a) view.shape.push_back(in_.read<uint64_t>(field));
    const uint32_t type = in_.read<uint32_t>(field);
    const TensorTypeInfo* known = find_tensor_type(type);
    if (!known) {
      throw unsupported(file_.path(), "{} has the type {}, which is not supported", field, type);
    }
    view.type = known->type;
    view.offset = in_.read<uint64_t>(field);
    view.file = &file_;
    return view;
  }

  void read_tensors(uint64_t alignment) {
    std::vector<TensorView> views;
    views.reserve(tensors_);
    for (uint64_t i = 0; i < tensors_; ++i) views.push_back(read_tensor_info(i));
    const uint64_t data_start = round_up(in_.offset(), alignment);
    for (TensorView& view : views) {
      if (view.offset % alignment != 0) {
        throw bad_file(file_.path(), "tensor '{}' at offset {} is not aligned to {}", view.name,
                       view.offset, alignment);
      }
      const auto offset = checked_add(data_start, view.offset);
      view.offset = offset.value_or(UINT64_MAX);  // add_tensor() refuses what is out of bounds
      out_.add_tensor(std::move(view));
    }
  }

  CheckpointBuilder& out_;
  const MappedFile& file_;
  ByteReader in_;
  uint32_t version_ = 0;
  uint64_t tensors_ = 0;
  uint64_t keys_ = 0;
};

struct SplitName {
  std::string prefix;
  int part = 0;
  int parts = 0;
  std::string path(int n) const { return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, n, parts); }
};

std::optional<SplitName> split_name(const std::string& path) {
  static const std::regex pattern(R"((.*)-(\d{5})-of-(\d{5})\.gguf)");
  std::smatch match;
  if (path.size() > 4096 || !std::regex_match(path, match, pattern)) return std::nullopt;
  return SplitName{match[1], std::stoi(match[2]), std::stoi(match[3])};
}

}  // namespace

Checkpoint open_gguf(const std::string& path) {
  const std::optional<SplitName> split = split_name(path);
  if (split && split->part != 1) {
    throw with_hint(bad_file(path, "is part {} of {} of a split model", split->part, split->parts),
                    "open the first part: " + split->path(1));
  }
  CheckpointBuilder builder(path, "");
  const int parts = split ? split->parts : 1;
  uint32_t version = 0;
  for (int part = 1; part <= parts; ++part) {
    GgufReader reader(builder, builder.add_file(part == 1 ? path : split->path(part)));
    reader.read(part == 1);
    version = reader.version();
  }
  const int64_t said = builder.metadata().integer("split.tensors.count", -1);
  std::string format = fmt::format("GGUF v{}", version);
  if (parts > 1) format += fmt::format(" in {} parts", parts);
  builder.set_format(format);
  Checkpoint checkpoint = builder.finish();
  if (parts > 1 && said >= 0 && static_cast<uint64_t>(said) != checkpoint.tensors().size()) {
    throw bad_file(path, "the parts hold {} tensors, but split.tensors.count is {}",
                   checkpoint.tensors().size(), said);
  }
  return checkpoint;
}

}  // namespace fathom::file
