// What policies cost, for a terminal.
#include <set>

#include "base/error.h"
#include "base/memory.h"
#include "eval/controls.h"
#include "eval/report.h"

namespace fathom::eval {
namespace {

// Tokens a second and bytes moved at every depth that was timed.
std::string depth_rows(const Report& report) {
  const auto& first = report.policies[0].measured;
  if (!first || first->depths.empty()) return "";
  std::string out = fmt::format("\n{:<5}", "");
  for (const DepthCost& d : first->depths) {
    out += fmt::format(" {:>20}", fmt::format("behind {}", d.depth));
  }
  out += "   tokens a second, bytes of the cache moved a token\n";
  for (size_t i = 0; i < report.policies.size(); ++i) {
    if (!report.policies[i].measured) continue;
    out += fmt::format("({:<2}) ", i + 1);
    for (const DepthCost& d : report.policies[i].measured->depths) {
      const std::string moved = d.moved_bytes > 0 ? human_bytes(double(d.moved_bytes)) : "-";
      out += fmt::format(" {:>8.0f} {:>11}", 1 / d.step_seconds, moved);
    }
    out += "\n";
  }
  return out;
}

// What a text costs that is read once and asked about several times.
std::string question_rows(const Report& report) {
  const auto& first = report.policies[0].measured;
  if (!first) return "";
  std::string out = fmt::format("\n{:<5} {:>10} {:>10} {:>10} {:>10} {:>10}", "", "1 question", "5",
                                "20", "100", "break-even");
  for (const BatchCost& b : first->batches) {
    out += fmt::format(" {:>10}", fmt::format("{} together", b.sequences));
  }
  out += "   seconds a question over one text; tokens a second of forks that decode together\n";
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const auto& c = report.policies[i].measured;
    if (!c) continue;
    out += fmt::format("({:<2}) ", i + 1);
    for (const size_t n : {1, 5, 20, 100})
      out += fmt::format(" {:>10.3f}", c->amortised_seconds(n));
    out += fmt::format(" {:>10}", i == 0 ? "" : break_even_text(*first, *c));
    for (const BatchCost& b : c->batches) {
      out += fmt::format(" {:>10.0f}", double(b.sequences) / b.step_seconds);
    }
    out += "\n";
  }
  return out;
}

// Bytes while reading and afterwards, and how a step's time compares with this machine's limit.
std::string memory_rows(const Report& report) {
  if (!report.policies[0].measured) return "";
  std::string out = fmt::format(
      "\n{:<5} {:>11} {:>11} {:>11} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "reading",
      "decoding", "a token", "f16", "alloc", "p50", "p99", "warm", "limit", "bandwidth");
  const auto or_none = [](const std::optional<double>& v, auto text) {
    return v ? text(*v) : std::string("-");
  };
  const auto time = [](double s) { return fmt::format("{:.0f} us", 1e6 * s); };
  for (size_t i = 0; i < report.policies.size(); ++i) {
    const auto& c = report.policies[i].measured;
    if (!c) continue;
    out += fmt::format(
        "({:<2})  {:>11} {:>11} {:>11} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}\n", i + 1,
        human_bytes(c->peak_kv_bytes), human_bytes(c->kv_bytes), human_bytes(c->bytes_per_token()),
        or_none(c->share_of_f16(), [](double v) { return fmt::format("{:.2f}x", v); }),
        or_none(c->fragmentation(), [](double v) { return fmt::format("{:.2f}x", v); }),
        time(c->step_seconds), time(c->step_p99), fmt::format("{:.1f} ms", 1e3 * c->warm_seconds),
        or_none(c->roofline_seconds(), time),
        or_none(c->bandwidth_use(), [](double v) { return fmt::format("{:.0f}%", 100 * v); }));
  }
  return out +
         "bytes that are there because of the text, the most while it is read and while "
         "decoding; f16: of everything in f16; alloc: memory for a byte that holds tokens; "
         "p50, p99: of a step; warm: a question behind the text; limit: bytes of a step at the "
         "measured read bandwidth\n";
}

// Of policies that were asked no questions.
std::string cost_rows(const Report& report) {
  if (report.costs.empty()) return "";
  std::string out = fmt::format("\n{:>12} {:>12} {:>10}\n", "cache", "first token", "a step");
  std::set<std::string> told;
  for (const CostLine& l : report.costs) {
    if (!told.insert(l.policy).second) continue;
    const CostSummary c = *summarize_costs(report.costs, l.policy);
    out += fmt::format("{:>12} {:>9.0f} ms {:>7.0f} us  {}\n", human_bytes(c.kv_bytes),
                       1e3 * c.first_token_seconds, 1e6 * c.step_seconds, short_line(l.policy));
  }
  return out;
}

}  // namespace

std::string cost_text(const Report& report) {
  if (report.policies.empty()) return cost_rows(report);
  return memory_rows(report) + depth_rows(report) + question_rows(report);
}

}  // namespace fathom::eval
