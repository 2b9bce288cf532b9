#include "file/gguf.h"

#include <bit>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "file/byte_reader.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

// Limits that no real file comes near; they bound what a hostile one can make us allocate. Every
// counted thing also occupies bytes in the file, which is checked before anything is reserved.
constexpr uint64_t kMaxTensors = 1 << 16;
constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxElements = 1 << 25;  // of all arrays of a file; they grow up to eight times
constexpr uint64_t kMaxName = 1 << 12;
constexpr uint64_t kMaxText = 1 << 26;
constexpr uint64_t kMinAlignment = 8;  // the format's rule; a float never straddles a page for it
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kMaxParts = 1 << 12;

enum GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

size_t scalar_bytes(uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
      return 8;
    default:
      return 0;
  }
}

class GgufReader {
 public:
  GgufReader(CheckpointBuilder& out, const MappedFile& file)
      : out_(out), file_(file), in_(file.bytes(), file.path()) {}

  // Reads one part of `parts`. The later parts of a split file repeat only bookkeeping.
  void read(uint64_t part, uint64_t parts) {
    read_header();
    Metadata values(file_.path());
    for (uint64_t i = 0; i < keys_; ++i) read_key_value(values, i);
    const uint64_t alignment = read_alignment(values);
    check_part(values, part, parts);
    if (part == 0) out_.metadata() = std::move(values);
    read_tensors(alignment);
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
      throw bad_file(file_.path(), "is GGUF version {}{}; versions 2 and 3 are read", version_,
                     version_ % 65536 == 0 ? " or in big-endian byte order" : "");
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

  uint64_t read_alignment(const Metadata& values) const {
    const int64_t alignment = values.integer("general.alignment", 32);
    const uint64_t bytes = static_cast<uint64_t>(alignment);
    if (alignment < 0 || bytes < kMinAlignment || bytes > kMaxAlignment ||
        !std::has_single_bit(bytes)) {
      throw bad_file(file_.path(), "general.alignment is {}, not a power of two from {} to {}",
                     alignment, kMinAlignment, kMaxAlignment);
    }
    return bytes;
  }

  void check_part(const Metadata& values, uint64_t part, uint64_t parts) const {
    const int64_t number = values.integer("split.no", static_cast<int64_t>(part));
    const int64_t count = values.integer("split.count", static_cast<int64_t>(parts));
    if (parts == 1 && count > 1) {
      throw with_hint(bad_file(file_.path(), "is one of {} parts of a split model", count),
                      "keep the parts' names: NAME-00001-of-0000N.gguf");
    }
    if (parts > 1 &&
        (number != static_cast<int64_t>(part) || count != static_cast<int64_t>(parts))) {
      throw bad_file(file_.path(), "is part {} of {} by its name, but {} of {} by its metadata",
                     part + 1, parts, number + 1, count);
    }
  }

  std::string read_string(std::string_view field, uint64_t limit) {
    const uint64_t length = in_.read<uint64_t>(field);
    if (length > limit) throw bad_file(file_.path(), "{} is {} bytes long", field, length);
    const auto bytes = in_.take(length, field);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void read_key_value(Metadata& values, uint64_t index) {
    std::string key = read_string(fmt::format("the name of key {}", index), kMaxName);
    field_ = "metadata key " + quoted_name(key);
    if (values.has(key)) throw bad_file(file_.path(), "{} is there twice", field_);
    const uint32_t type = in_.read<uint32_t>(field_);
    values.set(std::move(key), type == kArray ? read_array() : read_scalar(type));
  }

  int64_t read_integer(uint32_t type) {
    switch (type) {
      case kU8:
        return in_.read<uint8_t>(field_);
      case kI8:
        return in_.read<int8_t>(field_);
      case kU16:
        return in_.read<uint16_t>(field_);
      case kI16:
        return in_.read<int16_t>(field_);
      case kU32:
        return in_.read<uint32_t>(field_);
      case kI32:
        return in_.read<int32_t>(field_);
      case kI64:
        return in_.read<int64_t>(field_);
      case kBool:
        return in_.read<uint8_t>(field_) != 0;
      default:
        break;
    }
    const uint64_t value = in_.read<uint64_t>(field_);
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      throw bad_file(file_.path(), "{} is {}, beyond 63 bits", field_, value);
    }
    return static_cast<int64_t>(value);
  }

  double read_float(uint32_t type) {
    return type == kF32 ? in_.read<float>(field_) : in_.read<double>(field_);
  }

  Value read_scalar(uint32_t type) {
    if (type == kString) return read_string(field_, kMaxText);
    if (type == kBool) return in_.read<uint8_t>(field_) != 0;
    if (type == kF32 || type == kF64) return read_float(type);
    if (scalar_bytes(type) == 0) {
      throw bad_file(file_.path(), "{} has the unknown type {}", field_, type);
    }
    return read_integer(type);
  }

  uint64_t read_element_count(uint32_t type) {
    const uint64_t count = in_.read<uint64_t>(field_);
    if (type == kArray) throw bad_file(file_.path(), "{} is an array of arrays", field_);
    const size_t least = type == kString ? 8 : scalar_bytes(type);
    if (least == 0) {
      throw bad_file(file_.path(), "{} is an array of the unknown type {}", field_, type);
    }
    if (count > in_.left() / least) {
      throw bad_file(file_.path(), "{} claims {} elements, more than the file holds", field_,
                     count);
    }
    elements_ += count;
    if (elements_ > kMaxElements) {
      throw bad_file(file_.path(), "{} brings the arrays to {} elements; at most {} are read",
                     field_, elements_, kMaxElements);
    }
    return count;
  }

  Value read_array() {
    const uint32_t type = in_.read<uint32_t>(field_);
    const uint64_t count = read_element_count(type);
    if (type == kString) {
      Strings out(count);
      for (std::string& s : out) s = read_string(field_, kMaxText);
      return out;
    }
    if (type == kF32 || type == kF64) {
      Floats out(count);
      for (double& x : out) x = read_float(type);
      return out;
    }
    Integers out(count);
    for (int64_t& x : out) x = read_integer(type);
    return out;
  }

  TensorView read_tensor_info(uint64_t index) {
    TensorView view;
    view.name = read_string(fmt::format("the name of tensor {}", index), kMaxName);
    field_ = "tensor " + quoted_name(view.name);
    const uint32_t axes = in_.read<uint32_t>(field_);
    if (axes == 0 || axes > 4) throw bad_file(file_.path(), "{} has {} axes", field_, axes);
    for (uint32_t a = 0; a < axes; ++a) view.shape.push_back(in_.read<uint64_t>(field_));
    const uint32_t type = in_.read<uint32_t>(field_);
    const TensorTypeInfo* known = find_tensor_type(type);
    if (!known) {
      throw unsupported(file_.path(), "{} has the type {}, which is not supported", field_, type);
    }
    view.type = known->type;
    view.offset = in_.read<uint64_t>(field_);
    view.file = &file_;
    return view;
  }

  void read_tensors(uint64_t alignment) {
    std::vector<TensorView> views;
    views.reserve(tensors_);
    for (uint64_t i = 0; i < tensors_; ++i) views.push_back(read_tensor_info(i));
    const uint64_t data_start = round_up(in_.offset(), alignment);
    for (TensorView& view : views) {
      const std::string name = quoted_name(view.name);
      if (view.offset % alignment != 0) {
        throw bad_file(file_.path(), "tensor {} at offset {} is not aligned to {}", name,
                       view.offset, alignment);
      }
      const auto offset = checked_add(data_start, view.offset);
      if (!offset) {
        throw bad_file(file_.path(), "tensor {} has the offset {}", name, view.offset);
      }
      view.offset = *offset;
      out_.add_tensor(std::move(view));
    }
  }

  CheckpointBuilder& out_;
  const MappedFile& file_;
  ByteReader in_;
  uint32_t version_ = 0;
  uint64_t tensors_ = 0;
  uint64_t keys_ = 0;
  uint64_t elements_ = 0;  // of the arrays so far
  std::string field_;      // what is being read, for messages
};

// "<prefix>-00002-of-00005.gguf"
struct SplitName {
  std::string prefix;
  uint64_t part = 0;  // from 1
  uint64_t parts = 0;
  std::string path(uint64_t n) const {
    return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, n, parts);
  }
};

std::optional<uint64_t> five_digits(std::string_view text) {
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

std::optional<SplitName> split_name(std::string_view path) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kPattern.size());
  const auto part = five_digits(tail.substr(1, 5)), parts = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf" || !part ||
      !parts) {
    return std::nullopt;
  }
  return SplitName{std::string(path.substr(0, path.size() - kPattern.size())), *part, *parts};
}

SplitName checked_split_name(const std::string& path, SplitName name) {
  if (name.part < 1 || name.part > name.parts || name.parts > kMaxParts) {
    throw bad_file(path, "calls itself part {} of {}", name.part, name.parts);
  }
  if (name.part != 1) {
    throw with_hint(bad_file(path, "is part {} of {} of a split model", name.part, name.parts),
                    "open the first part: " + name.path(1));
  }
  return name;
}

void check_tensor_count(const Checkpoint& checkpoint) {
  const int64_t held = static_cast<int64_t>(checkpoint.tensors().size());
  const int64_t said = checkpoint.metadata().integer("split.tensors.count", held);
  if (said != held) {
    throw bad_file(checkpoint.path(), "the parts hold {} tensors, but split.tensors.count is {}",
                   held, said);
  }
}

}  // namespace

Checkpoint read_gguf(MappedFile file) {
  CheckpointBuilder builder(file.path(), "");
  GgufReader reader(builder, builder.add_file(std::move(file)));
  reader.read(0, 1);
  builder.set_format(fmt::format("GGUF v{}", reader.version()));
  return builder.finish();
}

Checkpoint open_gguf(const std::string& path) {
  const std::optional<SplitName> split = split_name(path);
  if (!split) return read_gguf(MappedFile(path));
  const SplitName name = checked_split_name(path, *split);
  CheckpointBuilder builder(path, "");
  uint32_t version = 0;
  for (uint64_t part = 0; part < name.parts; ++part) {
    GgufReader reader(builder, builder.add_file(MappedFile(name.path(part + 1))));
    reader.read(part, name.parts);
    version = reader.version();
  }
  const std::string parts = name.parts > 1 ? fmt::format(" in {} parts", name.parts) : "";
  builder.set_format(fmt::format("GGUF v{}{}", version, parts));
  Checkpoint checkpoint = builder.finish();
  check_tensor_count(checkpoint);
  return checkpoint;
}

}  // namespace fathom::file
