#include "eval/model_traits.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/attention_rows.h"
#include "eval/library.h"
#include "eval/prose.h"
#include "eval/statistics.h"

namespace fathom::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kTokens = 512;
constexpr size_t kEvery = 8;        // queries looked at in the second half
constexpr double kSmall = 1e9;      // parameters
constexpr uint64_t kTextSeed = 42;  // one text for every run

double sink_mass(const LayerAttention& layer, const std::vector<size_t>& rows) {
  double sum = 0;
  std::vector<float> weights;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t h = 0; h < layer.heads; ++h) {
      const float* q = layer.q.data() + (r * layer.heads + h) * layer.head_dim;
      attention_row(layer, q, h * layer.kv_heads / layer.heads, rows[r], weights);
      sum += weights[0];
    }
  }
  return sum / double(rows.size() * layer.heads);
}

double channel_ratio(const LayerAttention& layer) {
  const size_t width = layer.kv_heads * layer.head_dim;
  double most = 0;
  for (size_t h = 0; h < layer.kv_heads; ++h) {
    std::vector<double> channels(layer.head_dim);
    for (size_t at = h * layer.head_dim; at < layer.k.size(); at += width) {
      for (size_t c = 0; c < layer.head_dim; ++c) channels[c] += std::abs(layer.k[at + c]);
    }
    std::sort(channels.begin(), channels.end());
    const double median = quantile(channels, 0.5);
    if (median > 0) most = std::max(most, channels.back() / median);
  }
  return most;
}

// "12, 5, 30" of what is there.
template <class Value>
std::string list_of(const Json& values, Value text) {
  std::string out;
  for (const Json& v : values) {
    out += (out.empty() ? "" : ", ") + (v.is_number() ? text(v.get<double>()) : std::string("-"));
  }
  return out;
}

std::string millions(double n) {
  return n < 1e7 ? fmt::format("{:.1f}", n / 1e6) : fmt::format("{:.0f}", n / 1e6);
}

}  // namespace

ModelTraits measure_traits(engine::Engine& engine) {
  engine::Runner& runner = engine.runner();
  const model::Config& config = runner.config();
  ModelTraits out;
  for (const file::TensorView& t : engine.checkpoint().tensors()) {
    out.parameters += t.rows() * t.columns();
  }
  out.head_dim = config.head_dim;
  const auto text =
      prose_windows(engine, Library(), kTextSeed, std::min(kTokens, engine.context()), 1)[0].tokens;
  out.tokens = text.size();
  std::vector<size_t> rows;
  for (size_t r = text.size() / 2; r < text.size(); r += kEvery) rows.push_back(r);
  for (const size_t r : rows) out.even += 1 / double(r + 1) / double(rows.size());
  AttentionCollector collector(config, 0, config.layers, rows);
  runner.observe(&collector);
  kv::SequenceCache cache = runner.new_cache();
  runner.read(cache, text);
  runner.observe(nullptr);
  for (const LayerAttention& layer : collector.layers()) {
    const bool windowed = layer.window > 0;
    out.sink_mass.push_back(windowed ? std::nullopt : std::optional(sink_mass(layer, rows)));
    out.channel_ratio.push_back(channel_ratio(layer));
  }
  return out;
}

Json traits_json(const ModelTraits& t) {
  Json out = {{"parameters", t.parameters},
              {"head_dim", t.head_dim},
              {"tokens", t.tokens},
              {"even_weight", t.even}};
  out["first_token_weight"] = Json::array();
  for (const auto& mass : t.sink_mass) {
    out["first_token_weight"].push_back(mass ? Json(*mass) : Json());
  }
  out["key_channel_ratio"] = t.channel_ratio;
  return out;
}

std::optional<Caveats> caveats_of(const Json& run) {
  const auto traits = run.find("traits");
  if (traits == run.end() || !traits->is_object()) return std::nullopt;
  const Json& t = *traits;
  for (const char* number : {"parameters", "head_dim", "tokens", "even_weight"}) {
    if (!t.contains(number) || !t[number].is_number()) return std::nullopt;
  }
  for (const char* list : {"first_token_weight", "key_channel_ratio"}) {
    if (!t.contains(list) || !t[list].is_array()) return std::nullopt;
  }
  const auto parameters = t["parameters"].get<double>(), heads = t["head_dim"].get<double>();
  if (!(parameters < kSmall)) return std::nullopt;
  Caveats out;
  out.title = fmt::format("A small model, {} million parameters", millions(parameters));
  out.measured = {
      fmt::format(
          "Attention on the first token, by layer, in percent: {}. Spread evenly it would "
          "be {:.1f} ({:.0f} tokens of prose).",
          list_of(t["first_token_weight"], [](double v) { return fmt::format("{:.1f}", 100 * v); }),
          100 * t["even_weight"].get<double>(), t["tokens"].get<double>()),
      fmt::format(
          "Largest channel of the keys over the median one, by layer: {}.",
          list_of(t["key_channel_ratio"], [](double v) { return fmt::format("{:.1f}", v); }))};
  out.caveats = {
      "Few of its heads look things up, and heads are much alike: what policies gain that treat "
      "heads differently (head tables, budgets by head) does not carry over in size.",
      "Methods that keep the first tokens, or store keys by channel, live off attention on the "
      "first token and off channels that stick out; below some 100 million parameters both may be "
      "missing, see above.",
      "Its words are few and its answers short: questions with long answers say little.",
      "The order of policies is evidence, the size of a loss is not. Confirm on a model of a "
      "thousand million parameters and more, at 8k to 32k tokens."};
  if (heads < 128) {
    out.caveats.insert(out.caveats.begin() + 2,
                       fmt::format("Heads have {:.0f} channels: codes of 2 bits err by other "
                                   "amounts than with 128.",
                                   heads));
  }
  return out;
}

std::string caveats_text(const Json& run) {
  const auto c = caveats_of(run);
  if (!c) return "";
  std::string out = c->title + "\n\n";
  for (const auto* list : {&c->measured, &c->caveats}) {
    for (const std::string& line : *list) out += "- " + line + "\n";
  }
  return out;
}

}  // namespace fathom::eval
