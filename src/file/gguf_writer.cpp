#include "file/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "file/atomic_file.h"
#include "file/checkpoint.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

enum GgufType : uint32_t {
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kI64 = 11,
};

// Little-endian fields, one after the other.
class Fields {
 public:
  explicit Fields(AtomicFile& out) : out_(out) {}

  template <class T>
  void put(T value) {
    out_.write(std::as_bytes(std::span(&value, 1)));
  }
  void put_text(std::string_view text) {
    put<uint64_t>(text.size());
    out_.write(text);
  }

  void operator()(bool value) {
    put<uint32_t>(kBool);
    put<uint8_t>(value ? 1 : 0);
  }
  void operator()(int64_t value) {
    const uint32_t type = std::in_range<uint32_t>(value)  ? kU32
                          : std::in_range<int32_t>(value) ? kI32
                                                          : kI64;
    put(type);
    type == kI64 ? put(value) : put(static_cast<uint32_t>(value));
  }
  void operator()(double value) {
    put<uint32_t>(kF32);
    put(static_cast<float>(value));
  }
  void operator()(const std::string& text) {
    put<uint32_t>(kString);
    put_text(text);
  }
  void operator()(const Integers& values) {
    const bool narrow = std::all_of(values.begin(), values.end(),
                                    [](int64_t v) { return std::in_range<int32_t>(v); });
    open_array(narrow ? kI32 : kI64, values.size());
    for (const int64_t v : values) narrow ? put(static_cast<int32_t>(v)) : put(v);
  }
  void operator()(const Floats& values) {
    open_array(kF32, values.size());
    for (const double v : values) put(static_cast<float>(v));
  }
  void operator()(const Strings& values) {
    open_array(kString, values.size());
    for (const std::string& v : values) put_text(v);
  }

 private:
  void open_array(uint32_t type, uint64_t count) {
    put<uint32_t>(kArray);
    put(type);
    put(count);
  }

  AtomicFile& out_;
};

}  // namespace

GgufWriter::GgufWriter(std::string path) : path_(std::move(path)) {}
GgufWriter::~GgufWriter() = default;

void GgufWriter::set(std::string key, Value value) {
  if (out_) throw usage_error(path_, "key {} comes after the data has begun", quoted_name(key));
  for (auto& [known, old] : values_) {
    if (known == key) {
      old = std::move(value);
      return;
    }
  }
  values_.emplace_back(std::move(key), std::move(value));
}

uint64_t GgufWriter::alignment() const {
  for (const auto& [key, value] : values_) {
    if (key != "general.alignment") continue;
    const int64_t* bytes = std::get_if<int64_t>(&value);
    if (!bytes || *bytes < 8 || !std::has_single_bit(static_cast<uint64_t>(*bytes))) {
      throw usage_error(path_, "general.alignment is not a power of two from 8");
    }
    return static_cast<uint64_t>(*bytes);
  }
  return 32;
}

void GgufWriter::add_tensor(std::string name, TensorType type, std::vector<uint64_t> shape) {
  if (out_) throw usage_error(path_, "tensor {} comes after the data has begun", quoted_name(name));
  for (const Tensor& t : tensors_) {
    if (t.name == name) throw usage_error(path_, "tensor {} is there twice", quoted_name(name));
  }
  const std::optional<uint64_t> bytes = tensor_bytes(type, shape);
  if (!bytes) {
    throw usage_error(path_, "tensor {} has an impossible shape for {}: [{}]", quoted_name(name),
                      info(type).name, fmt::join(shape, ", "));
  }
  tensors_.push_back({std::move(name), type, std::move(shape), *bytes, 0});
}

void GgufWriter::write_header() {
  const uint64_t align = alignment();
  uint64_t offset = 0;
  for (Tensor& t : tensors_) {
    t.offset = offset;
    offset = round_up(offset + t.bytes, align);
  }
  out_ = std::make_unique<AtomicFile>(path_);
  Fields fields(*out_);
  out_->write("GGUF");
  fields.put<uint32_t>(3);
  fields.put<uint64_t>(tensors_.size());
  fields.put<uint64_t>(values_.size());
  for (const auto& [key, value] : values_) {
    fields.put_text(key);
    std::visit(fields, value);
  }
  for (const Tensor& t : tensors_) {
    fields.put_text(t.name);
    fields.put<uint32_t>(static_cast<uint32_t>(t.shape.size()));
    for (const uint64_t axis : t.shape) fields.put(axis);
    fields.put(static_cast<uint32_t>(t.type));
    fields.put(t.offset);
  }
  out_->pad_to(align);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  if (!out_) write_header();
  if (bytes.empty()) return;
  if (present_ == tensors_.size()) {
    throw usage_error(path_, "{} bytes come after the last tensor", bytes.size());
  }
  const Tensor& tensor = tensors_[present_];
  if (bytes.size() > tensor.bytes - done_) {
    throw usage_error(path_, "{} bytes come where tensor {} has {} left", bytes.size(),
                      quoted_name(tensor.name), tensor.bytes - done_);
  }
  out_->write(bytes);
  done_ += bytes.size();
  if (done_ == tensor.bytes) {
    out_->pad_to(alignment());
    done_ = 0;
    ++present_;
  }
}

void GgufWriter::finish() {
  if (!out_) write_header();
  if (present_ != tensors_.size()) {
    throw usage_error(path_, "tensor {} is not written to its end",
                      quoted_name(tensors_[present_].name));
  }
  out_->commit();
}

void set_split(GgufWriter& writer, const SplitPart& split) {
  writer.set("split.no", int64_t{split.part});
  writer.set("split.count", int64_t{split.parts});
  writer.set("split.tensors.count", static_cast<int64_t>(split.tensors));
}

}  // namespace fathom::file
