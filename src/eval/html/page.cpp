#include "eval/html/page.h"

#include "eval/html/assets.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"

namespace fathom::eval {
namespace {

// In the order of the page, one a line.
constexpr std::string (*kSections[])(const Report&) = {
    html::frontier_charts,  //
    html::policy_table,     //
    html::cost_table,
    html::capability_charts,
    html::depth_tables,    //
    html::question_table,  //
    html::needle_maps,     //
    html::depth_scores,
    html::ruler_table,  //
    html::task_tables,  //
    html::turn_picture,
    html::turn_table,             //
    html::over_generation_table,  //
    html::prose_tables,           //
    html::attention_section,      //
    html::check_table,            //
    html::account_pictures,       //
    html::descriptions,           //
};

std::string name_of(const nlohmann::ordered_json& run) {
  const auto it = run.find("model");
  return it != run.end() && it->is_string() ? it->get<std::string>() : "a model";
}

std::string header(const Report& report, const nlohmann::ordered_json& run) {
  size_t questions = 0;
  for (const PolicyReport& p : report.policies) questions += p.cost.questions;
  std::string out = fmt::format(
      "<header><p class=\"kicker\">fathom eval</p>\n<h1>What every shortcut costs {}</h1>\n",
      html::escape(name_of(run)));
  if (!report.policies.empty()) {
    out += fmt::format(
        "<p class=\"lead\">{} cache policies on the same questions, {} answers in all, each beside "
        "({}) {}.</p>\n",
        report.policies.size(), questions, 1, html::escape(short_line(report.policies[0].policy)));
  }
  if (report.steadiness) {
    const bool well = report.steadiness->same_output && report.steadiness->same_speed();
    out += fmt::format("<p class=\"note{}\">{}</p>\n", well ? "" : " bad",
                       html::escape(steadiness_text(*report.steadiness)));
  }
  return out + html::summary_cards(report) + "</header>\n";
}

}  // namespace

std::string report_page(const Report& report, const nlohmann::ordered_json& run) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += fmt::format("<title>{}: what shortcuts cost</title>\n", html::escape(name_of(run)));
  out += fmt::format("<style>{}</style>\n</head>\n<body>\n<main>\n", html::style());
  out += header(report, run);
  for (const auto section : kSections) out += section(report);
  out += html::caveats(run) + html::provenance(report, run);
  out += "<footer>Written by fathom eval. This page loads nothing.</footer>\n";
  out += fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", html::script());
  return out;
}

}  // namespace fathom::eval
