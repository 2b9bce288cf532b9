// The report as one page that needs nothing but itself: no network, no other files.
//
// All data is escaped where it is put into markup; names of models, policies and tasks may be
// anything.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "eval/report.h"

namespace fathom::eval {

// `run`: what was asked for, and the machine (run.json). A pure function of its arguments.
std::string report_page(const Report& report, const nlohmann::ordered_json& run);

}  // namespace fathom::eval
