// The report as JSON: everything that the other forms show, for programs.
#include "eval/controls.h"
#include "eval/report.h"
#include "eval/ruler_summary.h"

namespace fathom::eval {
namespace {

using Json = nlohmann::ordered_json;

Json estimate(const Estimate& e) {
  return {{"score", e.value}, {"low", e.interval.low}, {"high", e.interval.high}};
}

Json value_or_null(const std::optional<double>& v) { return v ? Json(*v) : Json(); }

Json cell_json(const Cell& c) {
  Json out = c.sessions.empty() ? Json::object() : estimate(c.summary.mean);
  out["task"] = c.task;
  out["length"] = c.length;
  out["judged_by"] = measure_name(c.measure);
  out["sessions"] = c.summary.sessions;
  out["by_turn"] = c.summary.by_turn;
  out["drop"] = c.summary.drop();
  out["chance"] = c.chance;
  if (!c.choices.empty()) {
    out["choice"] = estimate(c.choice_summary.mean);
    out["choice"]["sessions"] = c.choice_summary.sessions;
    out["choice"]["chance"] = c.choice_chance;
  }
  for (const auto& [name, score] : c.summary.by_task) out["by_task"][name] = estimate(score);
  for (const auto& [depth, score] : c.by_depth) out["by_depth"].push_back({depth, score});
  out["gold_nll"] = value_or_null(c.gold_nll);
  out["gold_kept"] = value_or_null(c.gold_kept);
  out["gold_layers"] = value_or_null(c.gold_layers);
  out["gold_fetched"] = value_or_null(c.gold_fetched);
  out["cut_contexts"] = c.cut_contexts;
  if (c.named.answers > 0) out["over_generation"] = named_json(c.named);
  return out;
}

Json cost_json(const CostSummary& c) {
  Json depths = Json::array();
  for (const DepthCost& d : c.depths) {
    depths.push_back({{"depth", d.depth},
                      {"step_seconds", d.step_seconds},
                      {"decode_tokens_per_second", 1 / d.step_seconds},
                      {"moved_bytes", d.moved_bytes}});
  }
  Json batches = Json::array(), questions = Json::array();
  for (const BatchCost& b : c.batches) {
    batches.push_back({{"sequences", b.sequences},
                       {"step_seconds", b.step_seconds},
                       {"decode_tokens_per_second", double(b.sequences) / b.step_seconds}});
  }
  for (const size_t n : {1, 5, 20, 100}) {
    questions.push_back({{"questions", n}, {"seconds", c.amortised_seconds(n)}});
  }
  return {{"length", c.length},
          {"runs", c.runs},
          {"first_token_seconds", c.first_token_seconds},
          {"first_token_range", {c.first_token_least, c.first_token_most}},
          {"warm_seconds", c.warm_seconds},
          {"prefill_tokens_per_second", c.prefill_speed()},
          {"step_seconds", c.step_seconds},
          {"step_range", {c.step_least, c.step_most}},
          {"step_p99", c.step_p99},
          {"decode_tokens_per_second", c.decode_speed()},
          {"kv_bytes", c.kv_bytes},
          {"peak_kv_bytes", c.peak_kv_bytes},
          {"beside_pages_bytes", c.side_bytes},
          {"kv_bytes_per_token", c.bytes_per_token()},
          {"share_of_f16", value_or_null(c.share_of_f16())},
          {"allocated_bytes", c.allocated_bytes},
          {"filled_bytes", c.filled_bytes},
          {"fragmentation", value_or_null(c.fragmentation())},
          {"prompt_read", c.prompt_read},
          {"keys_read", c.keys_read},
          {"moved_bytes_per_step", c.moved_bytes},
          {"index_bytes_per_step", c.index_bytes},
          {"weight_bytes_per_step", c.weight_bytes},
          {"read_bytes_per_second", c.read_bytes_per_second},
          {"roofline_seconds", value_or_null(c.roofline_seconds())},
          {"bandwidth_use", value_or_null(c.bandwidth_use())},
          {"moved_bytes_per_second", (c.moved_bytes + c.weight_bytes) / c.step_seconds},
          {"by_depth", depths},
          {"together", batches},
          {"question_seconds", c.question_seconds()},
          {"seconds_a_question", questions}};
}

Json against_json(const AgainstFirst& a, double margin) {
  const StratifiedComparison& d = a.difference;
  return {{"difference", d.difference.value},
          {"low", d.difference.interval.low},
          {"high", d.difference.interval.high},
          {"sessions", d.sessions},
          {"sign_flip_p", d.sign_flip},
          {"mcnemar_p", value_or_null(a.mcnemar)},
          {"p", a.p},
          {"holm_p", a.holm},
          {"seen", a.holm < 0.05},
          {"detectable_at_80_percent_power", value_or_null(d.detectable)},
          {"margin", margin},
          {"not_worse_by_margin", a.not_worse},
          {"verdict", a.verdict}};
}

Json policy_json(const PolicyReport& p, const PolicyReport& first, double margin) {
  Json out = {{"policy", p.policy},
              {"name", short_line(p.policy)},
              {"mode", p.mode},
              {"cells_counted", p.counted},
              {"mean", p.counted > 0 ? estimate(p.mean) : Json()},
              {"questions", p.cost.questions},
              {"cut", p.cost.cut},
              {"prefill_tokens_per_second", p.cost.prefill_tokens_per_second},
              {"decode_tokens_per_second", p.cost.decode_tokens_per_second},
              {"time_to_first_token_seconds", p.cost.first_token_seconds},
              {"kv_bytes", p.cost.kv_bytes}};
  for (const auto& [name, score] : p.groups) out["groups"][name] = estimate(score);
  const NamedSummary named = named_summary(p);
  if (named.answers > 0) out["over_generation"] = named_json(named);
  if (p.measured) out["cost"] = cost_json(*p.measured);
  if (p.measured && first.measured && &p != &first) {
    out["cost"]["break_even_questions"] = value_or_null(break_even(*first.measured, *p.measured));
  }
  for (const Cell& c : p.cells) out["tasks"].push_back(cell_json(c));
  if (p.against_first) out["against_first"] = against_json(*p.against_first, margin);
  return out;
}

Json frontier_json(const Report& report, const Frontier& f) {
  constexpr const char* kPlaces[] = {"on", "dominated", "not distinguishable", "unknown"};
  Json out = {{"axis", f.axis}};
  for (size_t i = 0; i < f.places.size(); ++i) {
    Json one = {{"policy", report.policies[i].policy},
                {"place", kPlaces[static_cast<size_t>(f.places[i])]}};
    if (f.by[i]) one["by"] = report.policies[*f.by[i]].policy;
    out["policies"].push_back(std::move(one));
  }
  return out;
}

}  // namespace

Json report_json(const Report& report) {
  Json out = {{"policies", Json::array()}};
  if (report.steadiness) out["steadiness"] = steadiness_json(*report.steadiness);
  for (const PolicyReport& p : report.policies) {
    out["policies"].push_back(policy_json(p, report.policies[0], report.margin));
  }
  if (Json ruler = ruler_json(report); !ruler.empty()) out["ruler"] = std::move(ruler);
  for (const Frontier& f : report.frontiers) out["frontiers"].push_back(frontier_json(report, f));
  for (const CheckResult& c : report.checks) {
    Json one = estimate(c.score);
    one["check"] = c.check;
    one["task"] = c.task;
    one["length"] = c.length;
    one["chance"] = c.chance;
    out["checks"].push_back(std::move(one));
  }
  for (const ProseLine& l : report.prose) out["prose"].push_back(Json::parse(prose_line(l)));
  for (const AccountLine& l : report.accounts) {
    out["accounts"].push_back({{"policy", l.policy}, {"length", l.length}, {"account", l.json}});
  }
  return out;
}

}  // namespace fathom::eval
