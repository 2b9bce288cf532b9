#include "file/hf_rope.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

double positive(const JsonView& object, const std::string& key, double fallback) {
  const double value = object.number(key).value_or(fallback);
  if (!(value > 0)) {
    throw bad_file(object.source(), "'{}{}{}' is {}", object.path(),
                   object.path().empty() ? "" : ".", key, value);
  }
  return value;
}

std::optional<JsonView> for_layers(const JsonView& text, const std::string& type) {
  const auto parameters = text.find("rope_parameters");
  if (!parameters) return std::nullopt;
  const auto own = parameters->find(type);
  return own ? own : parameters;
}

std::string kind_of(const JsonView& scaling) {
  if (const auto kind = scaling.text("rope_type")) return *kind;
  return scaling.text("type").value_or("default");
}

class RopeReader {
 public:
  RopeReader(const JsonView& text, const HfRopeDefaults& defaults) : text_(text) {
    const auto parameters = for_layers(text, "full_attention");
    scaling_ = parameters ? parameters : text.find("rope_scaling");
    rope_.base = positive(text, "rope_theta", defaults.base);
    if (parameters) rope_.base = positive(*parameters, "rope_theta", rope_.base);
    read_window_base();
    double share = positive(text, "partial_rotary_factor", 1.0);
    if (parameters) share = positive(*parameters, "partial_rotary_factor", share);
    if (share > 1.0) throw bad_file(text.source(), "'partial_rotary_factor' is {}", share);
    rope_.dimensions = static_cast<int64_t>(static_cast<double>(defaults.head_dim) * share);
    if (rope_.dimensions < 2 || rope_.dimensions % 2 != 0) {
      throw bad_file(text.source(), "turns {} values of a head, not an even number",
                     rope_.dimensions);
    }
  }

  HfRope read() {
    const std::string kind = scaling_ ? kind_of(*scaling_) : "default";
    if (kind == "linear") {
      read_linear();
    } else if (kind == "yarn") {
      read_yarn();
    } else if (kind == "llama3") {
      read_llama3();
    } else if (kind == "longrope" || kind == "su") {
      read_longrope();
    } else if (kind != "default") {
      throw with_hint(
          unsupported(text_.source(), "scales RoPE by the method {}", quoted_name(kind)),
          "known: default, linear, yarn, llama3, longrope");
    }
    return std::move(rope_);
  }

 private:
  void read_window_base() {
    if (text_.find("rope_local_base_freq")) {
      rope_.window_base = positive(text_, "rope_local_base_freq", 0);
    }
    const auto parameters = for_layers(text_, "sliding_attention");
    if (parameters && parameters->find("rope_theta")) {
      rope_.window_base = positive(*parameters, "rope_theta", 0);
    }
  }

  double factor() { return positive(*scaling_, "factor", 0); }

  // The context the model was first trained with.
  int64_t original_context() {
    const std::string key = "original_max_position_embeddings";
    const auto inside = scaling_->integer(key), outside = text_.integer(key);
    const int64_t context =
        inside ? *inside
               : (outside ? *outside : text_.integer("max_position_embeddings").value_or(0));
    if (context < 1) throw bad_file(text_.source(), "'{}' is {}", key, context);
    return context;
  }

  void read_linear() {
    rope_.scaling.emplace_back("type", std::string("linear"));
    rope_.scaling.emplace_back("factor", factor());
  }

  void read_yarn() {
    const double by = factor();
    rope_.scaling.emplace_back("type", std::string("yarn"));
    rope_.scaling.emplace_back("factor", by);
    rope_.scaling.emplace_back("original_context_length", original_context());
    if (scaling_->find("beta_fast")) {
      rope_.scaling.emplace_back("yarn_beta_fast", positive(*scaling_, "beta_fast", 0));
    }
    if (scaling_->find("beta_slow")) {
      rope_.scaling.emplace_back("yarn_beta_slow", positive(*scaling_, "beta_slow", 0));
    }
    if (scaling_->find("attention_factor")) {
      // GGUF's factor multiplies the one that yarn implies.
      const double implied = by > 1.0 ? 0.1 * std::log(by) + 1.0 : 1.0;
      rope_.scaling.emplace_back("attn_factor",
                                 positive(*scaling_, "attention_factor", 0) / implied);
    }
  }

  // Long waves are stretched by the factor, short ones are left alone, those between get a mix.
  void read_llama3() {
    const double by = positive(*scaling_, "factor", 8);
    const double low = positive(*scaling_, "low_freq_factor", 1);
    const double high = positive(*scaling_, "high_freq_factor", 4);
    const double context = positive(*scaling_, "original_max_position_embeddings", 8192);
    if (!(high > low)) {
      throw bad_file(text_.source(), "{}.high_freq_factor is {}, not above {}", scaling_->path(),
                     high, low);
    }
    for (int64_t i = 0; i < rope_.dimensions; i += 2) {
      const double turn = static_cast<double>(i) / static_cast<double>(rope_.dimensions);
      const double waves = context / (2 * std::numbers::pi * std::pow(rope_.base, turn));
      double divisor = waves > high ? 1.0 : by;
      if (waves >= low && waves <= high) {
        const double smooth = (waves - low) / (high - low);
        divisor = 1.0 / ((1.0 - smooth) / by + smooth);
      }
      rope_.frequency_divisors.push_back(static_cast<float>(divisor));
    }
  }

  std::vector<float> factors(const std::string& key) {
    const JsonView list = scaling_->require(key);
    const size_t pairs = static_cast<size_t>(rope_.dimensions) / 2;
    if (!list.is_array() || list.size() != pairs) {
      throw bad_file(text_.source(), "{} is not a list of {} numbers", list.path(), pairs);
    }
    std::vector<float> out;
    for (size_t i = 0; i < pairs; ++i) {
      out.push_back(static_cast<float>(list.element(i).as_number()));
      if (!(out.back() > 0))
        throw bad_file(text_.source(), "{}[{}] is not positive", list.path(), i);
    }
    return out;
  }

  void read_longrope() {
    const int64_t original = original_context();
    const double context = static_cast<double>(text_.require_integer("max_position_embeddings"));
    const double ratio =
        text_.find("original_max_position_embeddings")
            ? context / static_cast<double>(original)
            : positive(*scaling_, "factor", context / static_cast<double>(original));
    const double implied =
        ratio > 1.0 && original > 1
            ? std::sqrt(1.0 + std::log(ratio) / std::log(static_cast<double>(original)))
            : 1.0;
    rope_.scaling.emplace_back("type", std::string("longrope"));
    rope_.scaling.emplace_back("original_context_length", original);
    rope_.scaling.emplace_back("attn_factor", positive(*scaling_, "attention_factor", implied));
    rope_.long_factors = factors("long_factor");
    rope_.short_factors = factors("short_factor");
  }

  const JsonView& text_;
  std::optional<JsonView> scaling_;
  HfRope rope_;
};

}  // namespace

HfRope read_hf_rope(const JsonView& text, const HfRopeDefaults& defaults) {
  return RopeReader(text, defaults).read();
}

}  // namespace fathom::file
