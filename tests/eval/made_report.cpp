#include "made_report.h"

namespace fathom::test {
namespace {

using namespace eval;

ResultLine answered(const std::string& policy, const std::string& task, int i, double score) {
  ResultLine l;
  l.model = kHostile;
  l.policy = policy;
  l.mode = "multi-request";
  l.suite = "needle";
  l.task = task;
  l.id = task + std::to_string(i);
  l.length = 1024;
  l.depth = 0.1 * (i % 10);
  l.result.score = score;
  l.result.gold_kept = score;
  l.result.gold_layers = score;
  l.result.chosen = score > 0;
  l.result.choices = 8;
  return l;
}

struct Made {
  std::vector<ResultLine> lines;
  std::vector<ProseLine> prose;
  std::vector<CostLine> costs;
};

Made made() {
  Made m;
  const std::string policies[] = {"prefill=dense keep=all store=f32 fetch=all",
                                  "prefill=dense keep=snapkv(budget=64) store=f32 fetch=all",
                                  kHostile};
  for (size_t p = 0; p < 3; ++p) {
    for (int i = 0; i < 40; ++i) {
      m.lines.push_back(answered(policies[p], "needle", i, i % 10 != 0 && p != 1 ? 1 : 0));
      if (p == 0) m.lines.push_back(answered(policies[p], kHostile, i, 0));
    }
    m.costs.push_back(timed(policies[p], p == 0 ? 1 : 0.25 * double(p)));
    ProseLine l;
    l.policy = policies[p];
    l.reference = policies[0];
    l.positions = "decode";
    l.text = kHostile;
    l.result.windows = 3;
    l.result.tokens = 30;
    l.result.close = 10;
    l.result.delta_ps.assign(std::size(kDeltaQuantiles), -0.01);
    l.result.attention = AttentionLoss{0.125, 0.5, -0.25, 0.75};
    l.result.greedy = GreedyAgreement{128, {100.5, {90, 110}}, {0.25, {0.1, 0.4}}};
    l.result.heads = {{0, 0, *l.result.attention}, {1, 1, {0.9, 2, -1, 0.5}}};
    if (p > 0) m.prose.push_back(l);
  }
  ResultLine check = answered(policies[0], "needle", 0, 1);
  check.mode = kClosedBook;
  m.lines.push_back(check);
  return m;
}

}  // namespace

eval::CostLine timed(const std::string& policy, double factor) {
  CostLine c;
  c.policy = policy;
  c.length = 1024;
  c.first_token_seconds = 0.5 * factor;
  c.warm_seconds = 0.1;
  c.step_seconds = c.step_p99 = 0.001 * factor;
  c.kv_bytes = c.peak_kv_bytes = static_cast<size_t>(1e6 * factor);
  c.moved_bytes = static_cast<size_t>(5e5 * factor);
  c.weight_bytes = 1000;
  c.side_bytes = 1000;
  c.allocated_bytes = static_cast<size_t>(1.5e6 * factor);
  c.filled_bytes = static_cast<size_t>(1e6 * factor);
  c.f16_bytes = 500;
  c.read_bytes_per_second = 1e9;
  c.depths = {{256, 0.0005 * factor, 1000}};
  c.batches = {{4, 0.002 * factor}, {16, 0.004 * factor}};
  return c;
}

eval::Report made_report() {
  const Made m = made();
  return make_report({m.lines, m.prose, m.costs});
}

}  // namespace fathom::test
