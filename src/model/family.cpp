#include "model/family.h"

#include <cmath>

#include "base/error.h"
#include "kernel/block_formats.h"

namespace fathom::model {
namespace {

constexpr const Family* kFamilies[] = {&kLlama, &kQwen2, &kQwen3, &kPhi3, &kGemma2, &kGemma3};
constexpr size_t kMaxHeadDim = 512;

std::vector<float> read_factors(const file::Checkpoint& checkpoint, const char* name) {
  const file::TensorView* t = checkpoint.find(name);
  if (!t) return {};
  std::vector<float> out(t->columns());
  if (t->rows() != 1) throw bad_file(checkpoint.path(), "tensor '{}' is not a vector", name);
  kernel::dequantize_row(t->type, t->data.data(), out);
  for (const float f : out) {
    if (!(f > 0) || !std::isfinite(f)) {
      throw bad_file(checkpoint.path(), "tensor '{}' holds {}, not a positive factor", name, f);
    }
  }
  return out;
}

RopeScaling scaling_of(const KeyReader& keys) {
  const std::string type = keys.text("rope.scaling.type", "none");
  if (type == "none") return RopeScaling::kNone;
  if (type == "linear") return RopeScaling::kLinear;
  if (type == "yarn") return RopeScaling::kYarn;
  if (type == "longrope" || type == "su") return RopeScaling::kLong;
  throw unsupported(keys.checkpoint().path(), "rope.scaling.type '{}' is not known", type);
}

RopeConfig read_rope(const KeyReader& keys, const Config& c) {
  RopeConfig rope;
  rope.rotated = keys.count("rope.dimension_count", c.head_dim);
  rope.base = keys.number("rope.freq_base", 10000.0f);
  rope.scaling = scaling_of(keys);
  rope.factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0f));
  if (rope.scaling == RopeScaling::kNone && rope.factor != 1.0) rope.scaling = RopeScaling::kLinear;
  rope.original_context = keys.count("rope.scaling.original_context_length", c.trained_context);
  rope.magnitude = keys.number("rope.scaling.attn_factor", 1.0f);
  rope.yarn_beta_fast = keys.number("rope.scaling.yarn_beta_fast", 32.0f);
  rope.yarn_beta_slow = keys.number("rope.scaling.yarn_beta_slow", 1.0f);
  const file::Checkpoint& checkpoint = keys.checkpoint();
  rope.short_factors = read_factors(checkpoint, "rope_freqs.weight");
  if (rope.short_factors.empty()) {
    rope.short_factors = read_factors(checkpoint, "rope_factors_short.weight");
    rope.long_factors = read_factors(checkpoint, "rope_factors_long.weight");
  }
  return rope;
}

void check_rope(const file::Checkpoint& file, const RopeConfig& rope, const Config& c) {
  const auto wrong = [&](std::string_view what) { return bad_file(file.path(), "{}", what); };
  if (rope.rotated % 2 != 0 || rope.rotated > c.head_dim) {
    throw bad_file(file.path(), "rope.dimension_count is {} for heads of {}", rope.rotated,
                   c.head_dim);
  }
  if (!(rope.base > 1)) throw wrong("rope.freq_base is not above 1");
  if (!(rope.factor > 0) || !std::isfinite(rope.factor)) throw wrong("rope.scaling.factor is bad");
  if (!(rope.yarn_beta_fast > 0) || !(rope.yarn_beta_slow > 0)) throw wrong("a YaRN beta is bad");
  for (const std::vector<float>* factors : {&rope.short_factors, &rope.long_factors}) {
    if (!factors->empty() && factors->size() != rope.rotated / 2) {
      throw bad_file(file.path(), "there are {} rope factors for {} pairs", factors->size(),
                     rope.rotated / 2);
    }
  }
}

void check(const file::Checkpoint& file, const Config& c) {
  if (c.heads % c.kv_heads != 0) {
    throw bad_file(file.path(), "{} query heads are not a multiple of {} kv heads", c.heads,
                   c.kv_heads);
  }
  if (c.head_dim > kMaxHeadDim) {
    throw unsupported(file.path(), "heads of {} values; up to {} are supported", c.head_dim,
                      kMaxHeadDim);
  }
  if (!(c.norm_epsilon > 0)) throw bad_file(file.path(), "the norm's epsilon is not positive");
  if (!(c.attention_scale > 0) || !std::isfinite(c.attention_scale)) {
    throw bad_file(file.path(), "the scale of attention scores is not positive");
  }
  check_rope(file, c.rope, c);
  if (c.has_local_rope) check_rope(file, c.local_rope, c);
}

// Sizes above this cannot be a model; they bound every product of two below 2^62.
constexpr int64_t kMaxCount = int64_t{1} << 31;

}  // namespace

KeyReader::KeyReader(const file::Checkpoint& checkpoint, std::string architecture)
    : checkpoint_(checkpoint), architecture_(std::move(architecture)) {}

bool KeyReader::has(const std::string& key) const { return checkpoint_.metadata().has(full(key)); }

size_t KeyReader::count(const std::string& key) const {
  const file::Metadata& m = checkpoint_.metadata();
  int64_t value = 0;
  // Some files give one value a layer; all layers must then agree.
  const file::Value* raw = m.find(full(key));
  const file::Integers* per_layer = raw ? std::get_if<file::Integers>(raw) : nullptr;
  if (per_layer && !per_layer->empty()) {
    value = per_layer->front();
    for (const int64_t v : *per_layer) {
      if (v != value) {
        throw unsupported(checkpoint_.path(), "'{}' differs between layers", full(key));
      }
    }
  } else {
    value = m.require_integer(full(key));
  }
  if (value < 1 || value > kMaxCount) {
    throw bad_file(checkpoint_.path(), "metadata key '{}' is {}", full(key), value);
  }
  return static_cast<size_t>(value);
}

size_t KeyReader::count(const std::string& key, size_t fallback) const {
  return has(key) ? count(key) : fallback;
}

float KeyReader::number(const std::string& key, float fallback) const {
  return static_cast<float>(checkpoint_.metadata().number(full(key), fallback));
}

std::string KeyReader::text(const std::string& key, const std::string& fallback) const {
  return checkpoint_.metadata().text(full(key), fallback);
}

const file::Value* KeyReader::find(const std::string& key) const {
  return checkpoint_.metadata().find(full(key));
}

std::span<const Family* const> all_families() { return kFamilies; }

const Family& find_family(const file::Checkpoint& checkpoint) {
  const std::string name = checkpoint.metadata().require_text("general.architecture");
  std::string known;
  for (const Family* family : kFamilies) {
    if (family->architecture == name) return *family;
    known += (known.empty() ? "" : ", ") + std::string(family->architecture);
  }
  throw with_hint(unsupported(checkpoint.path(), "the architecture '{}' is not supported", name),
                  "supported architectures: " + known);
}

Config read_common(const KeyReader& keys) {
  Config c;
  const file::Metadata& m = keys.checkpoint().metadata();
  c.architecture = keys.architecture();
  c.name = m.text("general.name", "");
  c.layers = keys.count("block_count");
  if (const size_t held = keys.checkpoint().tensors().size(); c.layers > held) {
    throw bad_file(keys.checkpoint().path(), "block_count is {}, but there are {} tensors",
                   c.layers, held);
  }
  c.dim = keys.count("embedding_length");
  c.feed_forward = keys.count("feed_forward_length");
  c.heads = keys.count("attention.head_count");
  c.kv_heads = keys.count("attention.head_count_kv", c.heads);
  c.head_dim = keys.count("attention.key_length", std::max<size_t>(1, c.dim / c.heads));
  if (keys.count("attention.value_length", c.head_dim) != c.head_dim) {
    throw unsupported(keys.checkpoint().path(), "keys and values of different sizes");
  }
  if (keys.has("expert_count") && keys.count("expert_count", 1) > 1) {
    throw unsupported(keys.checkpoint().path(), "mixtures of experts are not supported");
  }
  c.trained_context = keys.count("context_length");
  c.vocab = keys.checkpoint().require("token_embd.weight").rows();
  c.norm_epsilon = keys.number("attention.layer_norm_rms_epsilon", 1e-5f);
  c.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  c.rope = read_rope(keys, c);
  return c;
}

void read_window(const KeyReader& keys, const WindowDefaults& defaults, Config& c) {
  const file::Value* size = keys.find("attention.sliding_window");
  const int64_t* zero = size ? std::get_if<int64_t>(size) : nullptr;
  if (size ? zero && *zero == 0 : defaults.window == 0) return;
  c.window = static_cast<int32_t>(
      std::min<size_t>(keys.count("attention.sliding_window", defaults.window), INT32_MAX));
  const file::Value* pattern = keys.find("attention.sliding_window_pattern");
  const file::Integers* layers = pattern ? std::get_if<file::Integers>(pattern) : nullptr;
  if (layers && layers->size() != c.layers) {
    throw bad_file(keys.checkpoint().path(),
                   "the sliding window's pattern has {} entries for {} layers", layers->size(),
                   c.layers);
  }
  const size_t period = layers    ? 0
                        : pattern ? keys.count("attention.sliding_window_pattern")
                                  : defaults.period;
  for (size_t l = 0; l < c.layers; ++l) {
    const bool by_period = period == 0 || l % period != period - 1;
    c.windowed_layers.push_back(layers ? (*layers)[l] != 0 : by_period);
  }
}

Config read_config(const file::Checkpoint& checkpoint) {
  const Family& family = find_family(checkpoint);
  const KeyReader keys(checkpoint, std::string(family.architecture));
  Config config = read_common(keys);
  family.configure(keys, config);
  check(checkpoint, config);
  return config;
}

LayerWeights load_common_layer(WeightLoader& loader, const Config& c, const std::string& prefix) {
  LayerWeights w;
  const size_t q_rows = c.heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  w.attention_norm = loader.vector(prefix + "attn_norm.weight", c.dim);
  w.q = loader.linear(prefix + "attn_q", {q_rows, c.dim});
  w.k = loader.linear(prefix + "attn_k", {kv_rows, c.dim});
  w.v = loader.linear(prefix + "attn_v", {kv_rows, c.dim});
  w.o = loader.linear(prefix + "attn_output", {c.dim, q_rows});
  w.q_norm = loader.optional_vector(prefix + "attn_q_norm.weight", c.head_dim);
  w.k_norm = loader.optional_vector(prefix + "attn_k_norm.weight", c.head_dim);
  w.feed_forward_norm = loader.vector(prefix + "ffn_norm.weight", c.dim);
  w.gate = loader.linear(prefix + "ffn_gate", {c.feed_forward, c.dim});
  w.up = loader.linear(prefix + "ffn_up", {c.feed_forward, c.dim});
  w.down = loader.linear(prefix + "ffn_down", {c.dim, c.feed_forward});
  return w;
}

}  // namespace fathom::model
