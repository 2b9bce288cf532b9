// Any bytes as the files of an evaluation that `--resume` goes on with and `--report` shows:
// results, prose, costs, accounts and probes, in that order, separated by the character U+001E; and
// as the report.
#include "base/error.h"
#include "eval/account.h"
#include "eval/cost.h"
#include "eval/html/page.h"
#include "eval/prose.h"
#include "eval/report.h"
#include "eval/table.h"
#include "fuzz_input.h"

namespace {

using namespace fathom;

// What was read can be written, and reads the same again.
template <class Line, class Write, class Parse>
std::vector<Line> parsed(std::string_view text, Write write, Parse parse) {
  std::vector<Line> lines;
  try {
    lines = parse(text, "fuzz");
  } catch (const Error&) {
    return {};
  }
  for (const Line& line : lines) {
    const std::string written = write(line);
    FATHOM_CHECK(parse(written, "again").size() == 1 &&
                 write(parse(written, "again")[0]) == written);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  const auto next = [&] {
    const size_t end = std::min(rest.find('\x1e'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return text;
  };
  const auto results = parsed<eval::ResultLine>(next(), eval::result_line, eval::parse_results);
  const auto read_prose = [](std::string_view text, const std::string& source) {
    return eval::parse_prose(text, source);
  };
  const auto prose = parsed<eval::ProseLine>(next(), eval::prose_line, read_prose);
  const auto costs = parsed<eval::CostLine>(next(), eval::cost_line, eval::parse_costs);
  const auto accounts = parsed<eval::AccountLine>(next(), eval::account_line, eval::parse_accounts);
  const auto probes = parsed<eval::ProbeLine>(next(), eval::probe_line, eval::parse_probes);
  if (results.empty() && prose.empty() && costs.empty() && accounts.empty() && probes.empty()) {
    return 0;
  }
  try {
    const eval::Report report =
        eval::make_report({eval::complete_sessions(results), prose, costs, 0.02, accounts, probes});
    eval::report_text(report);
    eval::report_json(report);
    eval::report_table(report, {});
    eval::report_page(report, nlohmann::ordered_json::object());
  } catch (const Error&) {
  }
  return 0;
}
