// Text for markup, and numbers for people.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "eval/statistics.h"

namespace fathom::eval::html {

// For element content and quoted attributes; what is not UTF-8 or not allowed in a document becomes
// U+FFFD.
std::string escape(std::string_view text);

// The same for a policy line: it may break behind brackets and commas rather than inside a number.
std::string escape_line(std::string_view line);

std::string percent(double share);             // "87.5"
std::string with_interval(const Estimate& e);  // "87.5 <small>79–93</small>", in percent
std::string seconds(double s);                 // "1.24 s", "83 ms", "412 µs"
std::string p_value(double p);                 // "0.012", "<0.001"
std::string bytes(double n);                   // "1.5 MiB"

// A cell of a sortable table: what is shown, and what it is sorted by.
std::string cell(const std::string& shown, double sort_by, std::string_view classes = "");
std::string text_cell(std::string_view text, std::string_view classes = "");
std::string empty_cell();

// A sortable table that scrolls by itself; rows are markup.
struct Head {
  const char* text;
  const char* hint = "";
  bool number = true;
};
std::string table(const std::vector<Head>& heads, const std::string& rows);

// <section> with a heading and an introduction, both plain text; the body is markup.
std::string section(std::string_view id, std::string_view title, std::string_view introduction,
                    const std::string& body);

}  // namespace fathom::eval::html
