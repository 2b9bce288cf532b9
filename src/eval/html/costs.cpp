// What a policy takes of the machine: memory while it reads and afterwards, and a step's time
// beside what the memory could do.
#include "eval/controls.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval::html {
namespace {

std::string times_cell(const std::optional<double>& v) {
  return v ? cell(fmt::format("{:.2f}×", *v), *v) : empty_cell();
}

std::string row(const Report& report, size_t i) {
  const CostSummary &c = *report.policies[i].measured, &first = *report.policies[0].measured;
  std::string out = fmt::format("<tr data-p=\"{}\">{}", i + 1, policy_cell(report, i));
  const std::string beside =
      c.side_bytes > 0 ? fmt::format(" <small>{} beside pages</small>", bytes(c.side_bytes)) : "";
  out += cell(bytes(c.peak_kv_bytes), c.peak_kv_bytes) +
         cell(bytes(c.kv_bytes) + beside, c.kv_bytes) +
         cell(bytes(c.bytes_per_token()), c.bytes_per_token()) + times_cell(c.share_of_f16()) +
         times_cell(c.fragmentation());
  const double faster = first.step_seconds / c.step_seconds;
  out += cell(fmt::format("{} <small>{}–{}</small>", seconds(c.step_seconds), seconds(c.step_least),
                          seconds(c.step_most)),
              c.step_seconds) +
         cell(seconds(c.step_p99), c.step_p99) + cell(fmt::format("{:.2f}×", faster), faster) +
         cell(seconds(c.warm_seconds), c.warm_seconds);
  const auto least = c.roofline_seconds(), use = c.bandwidth_use();
  out += least ? cell(seconds(*least), *least) : empty_cell();
  return out + (use ? cell(fmt::format("{:.0f}", 100 * *use), *use) : empty_cell()) + "</tr>\n";
}

}  // namespace

std::string cost_table(const Report& report) {
  if (report.policies.empty() || !report.policies[0].measured) return "";
  const CostSummary& first = *report.policies[0].measured;
  std::string rows;
  for (size_t i = 0; i < report.policies.size(); ++i) {
    if (report.policies[i].measured) rows += row(report, i);
  }
  std::string lead = fmt::format(
      "At {} tokens, medians. Bytes are all that are there because of the text: codes, scales, "
      "what "
      "is not encoded yet, and beside pages indexes, saved queries and positions.",
      first.length);
  if (first.read_bytes_per_second > 0) {
    lead += fmt::format(
        " The limit is a step's bytes, weights and cache, at the {} a second that this machine's "
        "threads read from memory; more than all of it is used where the processor's caches hold "
        "the model.",
        bytes(first.read_bytes_per_second));
  }
  return section(
      "costs", "Memory and time", lead,
      table({{"policy", "", false},
             {"while reading", "the most while the prompt was read"},
             {"while decoding", "afterwards"},
             {"a token", "while decoding, by tokens of the text"},
             {"of f16", "of all keys and values in f16"},
             {"allocated", "memory of pages for a byte that holds tokens, when the text is read"},
             {"a step", "median, range of the runs' medians"},
             {"99 %", "of the steps are faster"},
             {"faster", "than (1) behind the same text"},
             {"warm", "time to the first token of a question behind the cached text"},
             {"limit", "weights and moved bytes at the measured read bandwidth"},
             {"bandwidth, %", "limit by median"}},
            rows));
}

}  // namespace fathom::eval::html
