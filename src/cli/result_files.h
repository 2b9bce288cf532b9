// The files that a run of `fathom eval` leaves in its folder, and goes on from:
//   results.jsonl  one question a line      prose.jsonl  one measurement of predictions
//   costs.jsonl    one timed run            accounts.jsonl  what one policy stood on
//   run.json       what was asked for, and the machine
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "eval/report.h"

namespace fathom::cli {

// Lines that are appended and flushed, so that what an interrupt leaves can be resumed.
class LineFile {
 public:
  // Does nothing without a folder. The text that is there already, without a broken last line.
  std::string open(const std::string& folder, const std::string& name);
  void add(const std::string& lines);

 private:
  std::string path_;
  std::ofstream file_;
};

class ResultFiles {
 public:
  // `folder` may be "". Throws Error(kUsage) where it has results and `resume` does not allow it.
  ResultFiles(const std::string& folder, bool resume);

  void add(const std::vector<eval::ResultLine>& session);
  void add(const eval::ProseLine& line);
  void add(const eval::CostLine& line);
  void add(const eval::AccountLine& line);

  std::vector<eval::ResultLine> results;
  std::vector<eval::ProseLine> prose;
  std::vector<eval::CostLine> costs;
  std::vector<eval::AccountLine> accounts;

 private:
  LineFile results_file_, prose_file_, costs_file_, accounts_file_;
};

void write_file(const std::string& path, const std::string& text);

}  // namespace fathom::cli
