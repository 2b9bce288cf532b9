#include "kv/replay/recording.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::kv {
namespace {

using file::quoted_name;
using file::SafetensorsFile;
using file::SafetensorsView;

// Positions are int32, and a head's channels fit into scratch on a stack.
constexpr uint64_t kMaxTokens = (uint64_t{1} << 31) - 1;
constexpr uint64_t kMaxHeads = 4096, kMaxHeadDim = 1024, kMaxLayer = 1u << 20;
// A product of two of these, summed over kMaxHeadDim channels, is far from the end of f32.
constexpr float kMaxValue = 1e12f;

struct Axis {
  const char* name;
  uint64_t most;
};
constexpr Axis kAxes[] = {{"tokens", kMaxTokens}, {"heads", kMaxHeads}, {"head_dim", kMaxHeadDim}};

const SafetensorsView& require_rank3(const SafetensorsFile& file, const char* name) {
  const SafetensorsView& tensor = file.require(name);
  if (tensor.shape.size() != 3) {
    throw bad_file(file.path(), "{} is [{}], not [tokens, heads, head_dim]", quoted_name(name),
                   fmt::join(tensor.shape, ", "));
  }
  for (size_t i = 0; i < 3; ++i) {
    if (tensor.shape[i] == 0 || tensor.shape[i] > kAxes[i].most) {
      throw bad_file(file.path(), "{} has {} {}; 1 to {} are read", quoted_name(name),
                     tensor.shape[i], kAxes[i].name, kAxes[i].most);
    }
  }
  return tensor;
}

void require_shape(const SafetensorsFile& file, const char* name,
                   const std::vector<uint64_t>& shape) {
  const SafetensorsView& tensor = file.require(name);
  if (tensor.shape != shape) {
    throw bad_file(file.path(), "{} is [{}], where [{}] is expected", quoted_name(name),
                   fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
  }
}

// The tensor as floats; every one finite and below kMaxValue.
std::vector<float> read_values(const SafetensorsFile& file, const char* name) {
  std::vector<float> values = file::to_floats(file.require(name));
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(std::fabs(values[i]) <= kMaxValue)) {
      throw bad_file(file.path(), "value {} of {} is {}", i, quoted_name(name), values[i]);
    }
  }
  return values;
}

template <class Number>
std::optional<Number> metadata_number(const SafetensorsFile& file, const char* key, Number low,
                                      Number high) {
  const auto entry = file.metadata().find(key);
  if (entry == file.metadata().end()) return std::nullopt;
  const std::string& text = entry->second;
  Number value{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = end.ec == std::errc{} && end.ptr == text.data() + text.size();
  if (!whole || !(value >= low && value <= high)) {
    throw bad_file(file.path(), "{} is {}, not a number from {} to {}", key, quoted_name(text), low,
                   high);
  }
  return value;
}

}  // namespace

Recording::Recording(const SafetensorsFile& file) {
  read_shapes(file);
  read_metadata(file);
  q_ = read_values(file, "q");
  k_ = read_keys(file, "k");
  v_ = read_keys(file, "v");
  if (file.find("q_unrotated")) q_unrotated_ = read_values(file, "q_unrotated");
  if (file.find("k_unrotated")) k_unrotated_ = read_keys(file, "k_unrotated");
  if (file.find("hidden")) hidden_ = read_values(file, "hidden");
}

void Recording::read_shapes(const SafetensorsFile& file) {
  const SafetensorsView& q = require_rank3(file, "q");
  const SafetensorsView& k = require_rank3(file, "k");
  tokens_ = q.shape[0], heads_ = q.shape[1], kv_heads_ = k.shape[1], head_dim_ = q.shape[2];
  if (heads_ % kv_heads_ != 0) {
    throw bad_file(file.path(), "{} query heads cannot share {} kv heads evenly", heads_,
                   kv_heads_);
  }
  const std::vector<uint64_t> keys = {tokens_, kv_heads_, head_dim_};
  require_shape(file, "k", keys);
  require_shape(file, "v", keys);
  if (file.find("k_unrotated")) require_shape(file, "k_unrotated", keys);
  if (file.find("q_unrotated")) require_shape(file, "q_unrotated", q.shape);
  if (const SafetensorsView* hidden = file.find("hidden")) {
    hidden_width_ = hidden->shape.size() == 2 ? hidden->shape[1] : 0;
    require_shape(file, "hidden", {tokens_, std::max<uint64_t>(hidden_width_, 1)});
  }
}

void Recording::read_metadata(const SafetensorsFile& file) {
  prompt_ = metadata_number<uint64_t>(file, "prompt_tokens", 1, tokens_).value_or(tokens_);
  layer_ = metadata_number<uint64_t>(file, "layer", 0, kMaxLayer).value_or(0);
  rope_base_ = metadata_number<double>(file, "rope_freq_base", 1.0, 1e15);
  const double root = 1.0 / std::sqrt(static_cast<double>(head_dim_));
  scale_ = static_cast<float>(metadata_number<double>(file, "scale", 1e-6, 1e6).value_or(root));
  soft_cap_ = static_cast<float>(metadata_number<double>(file, "soft_cap", 1e-3, 1e6).value_or(0));
  window_ = metadata_number<int32_t>(file, "window", 1, INT32_MAX).value_or(0);
  const auto rope = file.metadata().find("rope");
  if (rope == file.metadata().end() || rope->second == "interleaved pairs") return;
  if (rope->second != "halves") {
    throw with_hint(bad_file(file.path(), "rope is {}", quoted_name(rope->second)),
                    "'interleaved pairs' or 'halves'");
  }
  rope_style_ = kernel::RopeStyle::kHalf;
}

// From [tokens][kv_heads][head_dim] to [kv_heads][tokens][head_dim].
std::vector<float> Recording::read_keys(const SafetensorsFile& file, const char* name) const {
  const std::vector<float> values = read_values(file, name);
  std::vector<float> out(values.size());
  for (size_t t = 0; t < tokens_; ++t) {
    for (size_t h = 0; h < kv_heads_; ++h) {
      const float* from = values.data() + (t * kv_heads_ + h) * head_dim_;
      std::copy(from, from + head_dim_, out.data() + (h * tokens_ + t) * head_dim_);
    }
  }
  return out;
}

HeadView Recording::head(size_t kv_head, size_t tokens) const {
  FATHOM_CHECK(kv_head < kv_heads_ && tokens <= tokens_);
  const size_t at = kv_head * tokens_ * head_dim_;
  HeadView view;
  view.layer = layer_;
  view.kv_head = kv_head;
  view.head_dim = head_dim_;
  view.tokens = tokens;
  view.k = k_.data() + at;
  view.v = v_.data() + at;
  if (has_unrotated_keys()) view.k_unrotated = k_unrotated_.data() + at;
  view.scale = scale_;
  view.soft_cap = soft_cap_;
  view.window = window_;
  return view;
}

QueryView Recording::queries(size_t kv_head, size_t first, size_t tokens) const {
  FATHOM_CHECK(kv_head < kv_heads_ && first <= tokens_ && tokens <= tokens_ - first);
  QueryView view;
  view.group = group();
  view.tokens = tokens;
  view.first = first;
  view.stride = heads_ * head_dim_;
  const size_t at = first * view.stride + kv_head * group() * head_dim_;
  view.q = q_.data() + at;
  if (has_unrotated_queries()) view.q_unrotated = q_unrotated_.data() + at;
  return view;
}

}  // namespace fathom::kv
