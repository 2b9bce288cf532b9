#include "file/hf_config.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "file/hf_rope.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

// What Hugging Face's classes assume where config.json is silent.
struct Defaults {
  using Size = std::optional<int64_t>;
  Size width = {}, feed_forward = {}, layers = {}, heads = {}, kv_heads = {}, head_dim = {};
  Size context = {}, window = {};
  double epsilon = 1e-6;
  double rope_base = 10000;
};

struct Family {
  std::string_view name;  // in "architectures"
  std::string_view arch;
  std::string_view activation;
  Defaults defaults;
};

constexpr Defaults kGemma3Defaults{.width = 2304,
                                   .feed_forward = 9216,
                                   .layers = 26,
                                   .heads = 8,
                                   .kv_heads = 4,
                                   .head_dim = 256,
                                   .context = 131072,
                                   .window = 4096,
                                   .rope_base = 1e6};

constexpr Family kFamilies[] = {
    {"LlamaForCausalLM", "llama", "silu", {}},
    {"MistralForCausalLM", "llama", "silu", {.kv_heads = 8, .window = 4096}},
    {"Qwen2ForCausalLM", "qwen2", "silu", {}},
    {"Qwen3ForCausalLM", "qwen3", "silu", {.head_dim = 128}},
    {"Phi3ForCausalLM", "phi3", "silu", {.epsilon = 1e-5}},
    {"Gemma2ForCausalLM",
     "gemma2",
     "gelu_pytorch_tanh",
     {.kv_heads = 4, .head_dim = 256, .context = 8192, .window = 4096}},
    {"Gemma3ForCausalLM", "gemma3", "gelu_pytorch_tanh", kGemma3Defaults},
    {"Gemma3ForConditionalGeneration", "gemma3", "gelu_pytorch_tanh", kGemma3Defaults},
};

std::string known_families() {
  std::string names;
  for (const Family& f : kFamilies) names += (names.empty() ? "" : ", ") + std::string(f.name);
  return names;
}

const Family& find_family(const JsonView& config) {
  const auto list = config.find("architectures");
  if (!list || !list->is_array() || list->size() == 0) {
    throw bad_file(config.source(), "names no architecture");
  }
  const std::string& name = list->element(0).as_text();
  for (const Family& f : kFamilies) {
    if (f.name == name) return f;
  }
  throw with_hint(unsupported(config.source(), "is a {}, which is not known", quoted_name(name)),
                  "known: " + known_families());
}

// Reads one model's configuration; each step adds its keys.
class ConfigReader {
 public:
  ConfigReader(const JsonView& text, const Family& family, Metadata& out)
      : text_(text), family_(family), defaults_(family.defaults), out_(out) {
    result_.arch = family.arch;
  }

  HfConfig read() {
    out_.set("general.architecture", std::string(family_.arch));
    refuse_what_is_not_done();
    read_sizes();
    read_heads();
    read_window();
    read_gemma();
    read_rope();
    return std::move(result_);
  }

 private:
  // An integer from 1 to `most`.
  int64_t size(const std::string& key, std::optional<int64_t> fallback, int64_t most) {
    const auto found = text_.integer(key);
    if (!found && !fallback) return text_.require_integer(key);  // throws
    const int64_t value = found ? *found : *fallback;
    if (value < 1 || value > most) {
      throw bad_file(text_.source(), "'{}' is {}, not from 1 to {}", key, value, most);
    }
    return value;
  }
  void set(std::string_view key, Value value) {
    out_.set(fmt::format("{}.{}", family_.arch, key), std::move(value));
  }

  void refuse_what_is_not_done() {
    const auto act = text_.text("hidden_activation");
    const std::string activation =
        act ? *act : text_.text("hidden_act").value_or(std::string(family_.activation));
    if (activation != family_.activation) {
      throw unsupported(text_.source(), "has the activation {}; {} has {}", quoted_name(activation),
                        family_.name, family_.activation);
    }
  }

  void read_sizes() {
    const int64_t layers = size("num_hidden_layers", defaults_.layers, 4096);
    result_.layers = static_cast<uint64_t>(layers);
    set("block_count", layers);
    set("context_length", size("max_position_embeddings", defaults_.context, int64_t{1} << 40));
    set("embedding_length", width());
    set("feed_forward_length", size("intermediate_size", defaults_.feed_forward, 1 << 24));
    set("attention.layer_norm_rms_epsilon", epsilon());
    if (const auto vocabulary = text_.integer("vocab_size")) {
      result_.vocabulary = static_cast<uint64_t>(size("vocab_size", {}, 1 << 21));
    }
    result_.tied_embeddings = text_.flag("tie_word_embeddings");
  }

  int64_t width() { return size("hidden_size", defaults_.width, 1 << 24); }

  double epsilon() {
    const double value = text_.number("rms_norm_eps").value_or(defaults_.epsilon);
    if (!(value >= 0)) throw bad_file(text_.source(), "'rms_norm_eps' is {}", value);
    return value;
  }

  void read_heads() {
    const int64_t heads = size("num_attention_heads", defaults_.heads, 1 << 16);
    const int64_t kv = size("num_key_value_heads", defaults_.kv_heads.value_or(heads), 1 << 16);
    const bool said = text_.find("head_dim") || defaults_.head_dim;
    if (!said && width() % heads != 0) {
      throw bad_file(text_.source(), "'hidden_size' {} is not a multiple of {} heads", width(),
                     heads);
    }
    head_dim_ = said ? size("head_dim", defaults_.head_dim, 1 << 16) : width() / heads;
    if (heads % kv != 0) {
      throw bad_file(text_.source(), "'num_attention_heads' {} is not a multiple of {} kv heads",
                     heads, kv);
    }
    set("attention.head_count", heads);
    set("attention.head_count_kv", kv);
    set("attention.key_length", head_dim_);
    set("attention.value_length", head_dim_);
  }

  // Which layers have the window, where config.json does not list them.
  bool windowed(int64_t layer) {
    if (family_.arch == "gemma2") return layer % 2 == 0;
    if (family_.arch == "gemma3") {
      const int64_t period = size("sliding_window_pattern", 6, 4096);
      return (layer + 1) % period != 0;
    }
    if (family_.arch == "qwen2" || family_.arch == "qwen3") {
      return layer >= text_.integer("max_window_layers").value_or(0);
    }
    return true;
  }

  Integers windowed_layers() {
    Integers layers;
    const auto types = text_.find("layer_types");
    if (types && types->size() != result_.layers) {
      throw bad_file(text_.source(), "'layer_types' has {} entries for {} layers", types->size(),
                     result_.layers);
    }
    for (uint64_t i = 0; i < result_.layers; ++i) {
      const std::string type = types ? types->element(i).as_text() : "";
      if (types && type != "sliding_attention" && type != "full_attention") {
        throw unsupported(text_.source(), "has a layer of the type {}", quoted_name(type));
      }
      layers.push_back(types ? type == "sliding_attention" : windowed(static_cast<int64_t>(i)));
    }
    return layers;
  }

  // The least n for which all but the last of every n layers have the window, if there is one.
  static std::optional<int64_t> period_of(const Integers& layers) {
    const auto first = std::find(layers.begin(), layers.end(), 0);
    const int64_t period = first - layers.begin() + 1;
    for (size_t i = 0; i < layers.size(); ++i) {
      if ((layers[i] == 0) != (static_cast<int64_t>(i) % period == period - 1)) return std::nullopt;
    }
    return period;
  }

  void set_window(int64_t tokens, Integers layers) {
    const auto with = std::count(layers.begin(), layers.end(), 1);
    if (with == 0 && result_.gemma()) {
      throw unsupported(text_.source(), "is a {} without a layer that has a window", family_.arch);
    }
    if (with == 0) return;
    set("attention.sliding_window", tokens);
    // Gemma's readers assume their usual period where nothing is said.
    if (with == std::ssize(layers) && !result_.gemma()) return;
    const auto period = period_of(layers);
    set("attention.sliding_window_pattern", period ? Value(*period) : Value(std::move(layers)));
  }

  void read_window() {
    const bool qwen = family_.arch == "qwen2" || family_.arch == "qwen3";
    const bool off = qwen && !text_.flag("use_sliding_window").value_or(false);
    const bool said = text_.json().contains("sliding_window");
    if (off || (said ? !text_.find("sliding_window") : !defaults_.window)) {
      if (family_.arch == "phi3") set("attention.sliding_window", int64_t{0});  // as converters do
      return;
    }
    set_window(size("sliding_window", defaults_.window, 1 << 30), windowed_layers());
  }

  // Scores and logits are squashed by cap * tanh(x / cap); null means they are not, GGUF's 0.
  void read_cap(const std::string& key, const std::string& gguf_key, double fallback) {
    const bool silent = !text_.json().contains(key);
    const double cap = silent ? fallback : text_.number(key).value_or(0.0);
    if (cap < 0) throw bad_file(text_.source(), "'{}' is {}", key, cap);
    if (cap > 0 || family_.arch == "gemma2") set(gguf_key, cap);
  }

  void read_gemma() {
    if (!result_.gemma()) return;
    const bool two = family_.arch == "gemma2";
    read_cap("attn_logit_softcapping", "attn_logit_softcapping", two ? 50 : 0);
    read_cap("final_logit_softcapping", "final_logit_softcapping", two ? 30 : 0);
    const double scalar = text_.number("query_pre_attn_scalar").value_or(256);
    if (!(scalar > 0)) throw bad_file(text_.source(), "'query_pre_attn_scalar' is {}", scalar);
    set("attention.query_pre_attn_scalar", scalar);
  }

  void read_rope() {
    const HfRope rope = read_hf_rope(text_, {.head_dim = head_dim_, .base = defaults_.rope_base});
    out_.set("fathom.rope.style", std::string("half"));
    set("rope.dimension_count", rope.dimensions);
    set("rope.freq_base", rope.base);
    if (family_.arch == "gemma3") set("rope.freq_base_swa", rope.window_base.value_or(10000));
    for (const auto& [key, value] : rope.scaling) set("rope.scaling." + key, value);
    result_.rope_freqs = rope.frequency_divisors;
    result_.rope_factors_long = rope.long_factors;
    result_.rope_factors_short = rope.short_factors;
  }

  const JsonView& text_;
  const Family& family_;
  const Defaults& defaults_;
  Metadata& out_;
  HfConfig result_;
  int64_t head_dim_ = 0;
};

}  // namespace

HfConfig read_hf_config(const JsonView& config, Metadata& out) {
  const Family& family = find_family(config);
  const auto inner = config.find("text_config");
  const JsonView& text = inner ? *inner : config;
  for (const JsonView* level : {&config, &text}) {
    if (const auto q = level->find("quantization_config")) {
      throw with_hint(unsupported(config.source(), "has weights quantised by {}",
                                  quoted_name(q->text("quant_method").value_or("?"))),
                      "take the model's unquantised folder or a GGUF file of it");
    }
  }
  return ConfigReader(text, family, out).read();
}

}  // namespace fathom::file
