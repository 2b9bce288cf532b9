#include "eval/prose.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "eval/json_lines.h"

namespace fathom::eval {
namespace {

using Json = nlohmann::ordered_json;
using engine::TokenId;

Json estimate(const Estimate& e) {
  return {{"value", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
}

Estimate read_estimate(const file::JsonView& object, const char* key) {
  const file::JsonView e = object.require(key);
  return {e.require("value").as_number(),
          {e.require("low").as_number(), e.require("high").as_number()}};
}

// What a line holds; older ones are measured again.
constexpr int64_t kForm = 4;

Json loss_json(const AttentionLoss& l) {
  return {{"output_error_median", l.error_median},
          {"output_error_p95", l.error_p95},
          {"log_sum_gap", l.lse_gap},
          {"mass_recall", l.mass}};
}

AttentionLoss read_loss(const file::JsonView& object) {
  const auto number = [&](const char* key) { return object.require(key).as_number(); };
  return {number("output_error_median"), number("output_error_p95"), number("log_sum_gap"),
          number("mass_recall")};
}

Json heads_json(const std::vector<HeadLoss>& heads) {
  Json out = Json::array();
  for (const HeadLoss& h : heads) {
    Json one = {{"layer", h.layer}, {"kv_head", h.kv_head}};
    one.update(loss_json(h.loss));
    out.push_back(std::move(one));
  }
  return out;
}

constexpr size_t kMostHeads = 1 << 16;  // a page could show no more

// Layers and heads are checked: pictures have a place for each.
void read_heads(const file::JsonView& list, std::vector<HeadLoss>& out) {
  for (size_t i = 0; i < list.size(); ++i) {
    const file::JsonView h = list.element(i);
    const HeadLoss head{size_of(h, "layer"), size_of(h, "kv_head"), read_loss(h)};
    if (head.layer >= kMostHeads || head.kv_head >= kMostHeads) {
      throw bad_file(h.source(), "layer {}, kv head {}: no model has so many", head.layer,
                     head.kv_head);
    }
    out.push_back(head);
  }
}

std::vector<double> numbers_of(const file::JsonView& object, const char* key, size_t count) {
  const file::JsonView list = object.require(key);
  std::vector<double> out;
  for (size_t i = 0; i < list.size(); ++i) out.push_back(list.element(i).as_number());
  if (out.size() != count) {
    throw bad_file(object.source(), "'{}' has {} numbers, not {}", key, out.size(), count);
  }
  return out;
}

}  // namespace

std::string prose_line(const ProseLine& l) {
  const Divergence& d = l.result;
  Json json = {{"form", kForm},
               {"model", l.model},
               {"policy", l.policy},
               {"reference", l.reference},
               {"length", l.length},
               {"positions", l.positions},
               {"text", l.text},
               {"seed", l.seed},
               {"asked", l.asked},
               {"windows", d.windows},
               {"tokens", d.tokens},
               {"kl", estimate(d.kl)},
               {"kl_median", d.kl_median},
               {"kl_p90", d.kl_p90},
               {"kl_p99", d.kl_p99},
               {"kl_p999", d.kl_p999},
               {"kl_max", d.kl_max},
               {"same_top", estimate(d.same_top)},
               {"same_top_close", d.same_top_close},
               {"close", d.close},
               {"top10_overlap", estimate(d.top10)},
               {"ln_perplexity_difference", estimate(d.nll_difference)},
               {"ln_perplexity", estimate(d.nll)},
               {"delta_p", estimate(d.delta_p)},
               {"delta_p_rms", d.delta_p_rms},
               {"delta_p_at", kDeltaQuantiles},
               {"delta_p_quantiles", d.delta_ps},
               {"logit_error", estimate(d.logit_error)},
               {"logit_most", d.logit_most},
               {"ln_p_rms", d.log_p_rms},
               {"reference_perplexity", d.reference_perplexity}};
  if (d.mass_recall) json["attention_mass_recall"] = estimate(*d.mass_recall);
  if (d.attention) {
    json["attention"] = loss_json(*d.attention);
    json["attention"]["heads"] = heads_json(d.heads);
  }
  if (d.greedy) {
    json["greedy"] = {{"tokens", d.greedy->tokens},
                      {"common_prefix", estimate(d.greedy->common)},
                      {"identical", estimate(d.greedy->identical)}};
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<ProseLine> parse_prose(std::string_view text, const std::string& source,
                                   size_t* older) {
  std::vector<ProseLine> out;
  each_json_line(text, source, [&](const file::JsonView& object) {
    if (object.integer("form").value_or(1) < kForm) {
      if (older) ++*older;
      return;
    }
    ProseLine& l = out.emplace_back();
    l.model = object.text("model").value_or("");
    l.policy = object.require_text("policy");
    l.reference = object.require_text("reference");
    l.length = size_of(object, "length");
    l.positions = object.require_text("positions");
    l.text = object.require_text("text");
    const auto seed = object.find("seed");
    if (seed && seed->json().is_number_unsigned()) l.seed = seed->json().get<uint64_t>();
    l.asked = size_of(object, "asked");
    Divergence& d = l.result;
    d.windows = size_of(object, "windows");
    d.tokens = size_of(object, "tokens");
    d.kl = read_estimate(object, "kl");
    d.kl_median = object.require("kl_median").as_number();
    d.kl_p90 = object.require("kl_p90").as_number();
    d.kl_p99 = object.require("kl_p99").as_number();
    d.kl_p999 = object.require("kl_p999").as_number();
    d.kl_max = object.require("kl_max").as_number();
    d.same_top = read_estimate(object, "same_top");
    d.same_top_close = object.require("same_top_close").as_number();
    d.close = size_of(object, "close");
    d.top10 = read_estimate(object, "top10_overlap");
    d.nll_difference = read_estimate(object, "ln_perplexity_difference");
    d.nll = read_estimate(object, "ln_perplexity");
    d.delta_p = read_estimate(object, "delta_p");
    d.delta_p_rms = object.require("delta_p_rms").as_number();
    d.delta_ps = numbers_of(object, "delta_p_quantiles", std::size(kDeltaQuantiles));
    d.logit_error = read_estimate(object, "logit_error");
    d.logit_most = object.require("logit_most").as_number();
    d.log_p_rms = object.require("ln_p_rms").as_number();
    d.reference_perplexity = object.require("reference_perplexity").as_number();
    if (object.find("attention_mass_recall")) {
      d.mass_recall = read_estimate(object, "attention_mass_recall");
    }
    if (const auto attention = object.find("attention")) {
      d.attention = read_loss(*attention);
      read_heads(attention->require("heads"), d.heads);
    }
    if (const auto greedy = object.find("greedy")) {
      d.greedy =
          GreedyAgreement{size_of(*greedy, "tokens"), read_estimate(*greedy, "common_prefix"),
                          read_estimate(*greedy, "identical")};
    }
  });
  return out;
}

std::vector<ForcedText> prose_windows(const engine::Engine& engine, const Library& library,
                                      uint64_t seed, size_t length, size_t count) {
  std::vector<ForcedText> out;
  for (size_t w = 0; w < count; ++w) {
    ProseStream prose(library, Random(mix_seeds({seed, length, w})));
    std::string text;
    std::vector<TokenId> tokens;
    for (size_t next = 0; tokens.size() < length;) {
      const size_t wanted = text.size() + 8 * (length - tokens.size());
      while (text.size() < wanted) text += prose.at(next++);
      tokens = engine.tokenizer().encode(text);
    }
    tokens.resize(length);
    out.push_back({.tokens = std::move(tokens)});
  }
  return out;
}

std::vector<ForcedText> book_windows(const engine::Engine& engine, const Book& book, size_t length,
                                     size_t count) {
  std::string text;
  for (const std::string& s : book.sentences) text += s;
  const std::vector<TokenId> tokens = engine.tokenizer().encode(text);
  std::vector<ForcedText> out;
  if (tokens.size() < length) return out;
  const size_t room = tokens.size() - length;
  const size_t most = std::min(count, tokens.size() / length);
  for (size_t w = 0; w < most; ++w) {
    const size_t at = most == 1 ? 0 : room / (most - 1) * w;
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(at);
    out.push_back({.tokens = {begin, begin + static_cast<std::ptrdiff_t>(length)}});
  }
  return out;
}

}  // namespace fathom::eval
