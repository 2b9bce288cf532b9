// Talking to a person at a terminal: progress, interrupts, prices.
//
// Answers go to standard output; everything about them to standard error, and progress only where
// that is a terminal.
#pragma once

#include <fathom/options.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fathom::cli {

using Json = nlohmann::ordered_json;

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();

// Ctrl-C: the first asks the running operation to stop, a second one ends the program.
void catch_interrupts();
bool interrupted();
void clear_interrupt();

// A line on standard error that is rewritten while something goes on: phase, share, speed and time
// left. Shows nothing where standard error is no terminal, or for what takes under a second.
class ProgressLine {
 public:
  ~ProgressLine() { clear(); }
  // Usable as a Progress; false once the user pressed Ctrl-C.
  bool operator()(const ProgressUpdate& update);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string phase_;
  Clock::time_point start_, shown_;
  size_t first_ = 0;
  bool visible_ = false;
};

// "1,234,567"
std::string grouped(size_t n);

// One line of a reply's cost.
std::string price_line(const Price& price);
Json price_json(const Price& price);
std::string_view reason_name(StopReason reason);

// Prints JSON to standard output; text that is not UTF-8 is shown with U+FFFD.
// Names and messages may hold what a file's author wrote: nothing that a terminal would act on.
std::string printable(std::string_view text);

void print_json(const Json& json);
// Prints text to standard output at once.
void print_now(std::string_view text);

}  // namespace fathom::cli
