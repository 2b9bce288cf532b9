// The page's parts. Each gives markup, or "" where there is nothing to show.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "eval/report.h"

namespace fathom::eval::html {

// "dense", "prefill", "keep", "store", "fetch": the one stage that is not its default; "mixed" for
// several, "control" for what lives in controls.h.
std::string family_of(const std::string& policy);
// What a family is called, for people.
std::string_view family_name(std::string_view family);

// A first column of tables: mark, number and name of a policy.
std::string policy_cell(const Report& report, size_t policy);

std::string summary_cards(const Report& report);
std::string frontier_charts(const Report& report);
std::string capability_charts(const Report& report);
std::string turn_picture(const Report& report);
std::string depth_scores(const Report& report);
std::string policy_table(const Report& report);
std::string cost_table(const Report& report);
std::string depth_tables(const Report& report);
std::string question_table(const Report& report);
std::string task_tables(const Report& report);
std::string ruler_table(const Report& report);
std::string needle_maps(const Report& report);
std::string over_generation_table(const Report& report);
std::string turn_table(const Report& report);
std::string prose_tables(const Report& report);
std::string attention_section(const Report& report);
std::string check_table(const Report& report);
std::string account_pictures(const Report& report);
std::string descriptions(const Report& report);
std::string caveats(const nlohmann::ordered_json& run);
std::string provenance(const Report& report, const nlohmann::ordered_json& run);

}  // namespace fathom::eval::html
