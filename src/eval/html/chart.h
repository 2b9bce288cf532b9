// A picture of points: cost to the right on a logarithmic axis, quality upwards, so that what is
// good is at the upper left; the frontier as a step line. SVG that takes its colours from the page.
#pragma once

#include <string>
#include <vector>

namespace fathom::eval::html {

struct Point {
  size_t number = 0;   // of the policy, from 1; shown beside points on the frontier
  std::string family;  // "dense", "prefill", "keep", "store", "fetch", "mixed", "control"
  std::string title;   // plain text, shown when the pointer rests on it
  double x = 1;        // above 0
  double y = 0, low = 0, high = 0;  // share
  bool on_frontier = false;
};

struct Chart {
  std::string title, x_label;
  std::string (*x_text)(double) = nullptr;  // plain text of a value on the axis
  bool binary = false;  // ticks at powers of 2, not at 1, 2 and 5 of powers of 10
  std::vector<Point> points;
};
std::string chart(const Chart& c);

// The shape of a family around a place.
std::string shape(const std::string& family, double x, double y);

// The mark of a family by itself, for legends and tables: a colour and a shape.
std::string mark(const std::string& family);

}  // namespace fathom::eval::html
