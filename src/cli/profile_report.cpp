// The tables and the JSON of `fathom profile`.
#include <fmt/format.h>

#include <algorithm>

#include "cli/profile.h"

namespace fathom::cli {
namespace {

std::string_view bar(double share) {
  constexpr std::string_view kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  return kBars[static_cast<size_t>(std::clamp(share * 8, 0.0, 7.0))];
}

double mean_of(const eval::LayerProfile& layer, const HeadMeasure& measure) {
  double sum = 0;
  for (const eval::HeadProfile& head : layer.heads) sum += measure.value(head);
  return sum / static_cast<double>(layer.heads.size());
}

// A row a layer, a bar a head.
std::string measure_table(const ProfileReport& report, const HeadMeasure& measure) {
  std::string out = fmt::format("{}: {}\n", measure.name, measure.meaning);
  for (const LayerResult& layer : report.layers) {
    out += fmt::format("  layer {:>3}  ", layer.profile.layer);
    for (const eval::HeadProfile& head : layer.profile.heads) out += bar(measure.value(head));
    out += fmt::format("  {:.2f}\n", mean_of(layer.profile, measure));
  }
  return out;
}

std::string share_cell(double value) { return fmt::format("{:>7.1f}%", 100 * value); }

std::string policy_row(const eval::PolicyRecall& p) {
  if (!p.refused.empty()) return fmt::format("{:>42}  {}\n", "refused", p.refused);
  const std::string prompt = p.prefill ? share_cell(p.prefill->read) + share_cell(p.prefill->recall)
                                       : fmt::format("{:>8}{:>8}", "all", "");
  return fmt::format("  {}{}{}{}  {}\n", prompt, share_cell(p.steps.read),
                     share_cell(p.steps.recall), share_cell(p.steps.worst), p.policy);
}

Json stage_json(const eval::StageRecall& s) {
  return {{"keys_read_share", s.read}, {"attention_recall", s.recall}, {"worst_head", s.worst}};
}

Json policy_json(const eval::PolicyRecall& p) {
  Json out = {{"kv", p.policy}};
  if (!p.refused.empty()) {
    out["refused"] = p.refused;
    return out;
  }
  if (p.prefill) out["prefill"] = stage_json(*p.prefill);
  out["steps"] = stage_json(p.steps);
  out["page_attention"] = p.page_mass;
  out["page_read"] = p.page_read;
  return out;
}

Json layer_json(const LayerResult& layer) {
  Json heads = Json::array(), policies = Json::array();
  for (size_t h = 0; h < layer.profile.heads.size(); ++h) {
    const eval::HeadProfile& head = layer.profile.heads[h];
    heads.push_back({{"head", h},
                     {"sinks", head.sinks},
                     {"local", head.local},
                     {"entropy", head.entropy},
                     {"spread", head.spread},
                     {"copy", head.copy},
                     {"copy_chance", head.copy_chance},
                     {"distance", head.distance}});
  }
  for (const eval::PolicyRecall& p : layer.policies) policies.push_back(policy_json(p));
  Json out = {{"layer", layer.profile.layer},
              {"copy_rows", layer.profile.copy_rows},
              {"heads", heads},
              {"policies", policies}};
  if (!layer.note.empty()) out["note"] = layer.note;
  return out;
}

}  // namespace

std::vector<HeadMeasure> head_measures(const eval::ProfileOptions& o) {
  return {{"sinks", fmt::format("share of attention on the first {} tokens", o.sinks),
           [](const eval::HeadProfile& h) { return h.sinks; }},
          {"local", fmt::format("share on the last {}", o.local),
           [](const eval::HeadProfile& h) { return h.local; }},
          {"copy", "share on tokens that followed earlier occurrences of the query's own",
           [](const eval::HeadProfile& h) { return h.copy; }},
          {"spread", "entropy, as a share of attending to everything alike",
           [](const eval::HeadProfile& h) { return h.spread; }}};
}

std::string profile_text(const ProfileReport& report) {
  std::string out = fmt::format("{}: {} tokens of {}, {} of {} layers; one bar a query head\n\n",
                                report.model, grouped(report.tokens), report.text,
                                report.layers.size(), report.layers_of_model);
  for (const HeadMeasure& measure : head_measures(report.options)) {
    out += measure_table(report, measure) + "\n";
  }
  if (report.layers.empty() || report.layers[0].policies.empty()) return out;
  out += fmt::format(
      "what policies read: of the prompt's {} tokens while it is read, of all while the last {} "
      "are written;\nrecall: the share of dense attention that lies on it\n  {:>8}{:>8}{:>8}"
      "{:>8}{:>8}\n",
      grouped(report.prompt), report.tokens - report.prompt, "prompt", "recall", "steps", "recall",
      "worst");
  for (const LayerResult& layer : report.layers) {
    out += fmt::format("  layer {}\n", layer.profile.layer);
    for (const eval::PolicyRecall& p : layer.policies) out += policy_row(p);
  }
  return out;
}

Json profile_json(const ProfileReport& report) {
  Json layers = Json::array();
  for (const LayerResult& layer : report.layers) layers.push_back(layer_json(layer));
  return {{"model", report.model},         {"text", report.text},
          {"tokens", report.tokens},       {"prompt_tokens", report.prompt},
          {"sinks", report.options.sinks}, {"local", report.options.local},
          {"rows", report.options.rows},   {"layers", layers}};
}

}  // namespace fathom::cli
