// A report of made-up results that has every part of the page, with names that try to break it.
#pragma once

#include <string>

#include "eval/report.h"

namespace fathom::test {

inline constexpr const char* kHostile =
    "</script><script>alert(1)</script>\"'&<img src=x onerror=y>\x01\xFF";

// A timed run; times and bytes are in proportion to `factor`.
eval::CostLine timed(const std::string& policy, double factor);

// Three policies: dense, one that fails, and one of a hostile name that costs half.
eval::Report made_report();

}  // namespace fathom::test
