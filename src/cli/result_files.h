// The files that a run of `fathom eval` leaves in its folder, and goes on from:
//   results.jsonl  one question a line      prose.jsonl  one measurement of predictions
//   costs.jsonl    one timed run            accounts.jsonl  what one policy stood on
//   probes.jsonl   dense attention at the start or the end of a sitting
//   run.json       what was asked for, and the machine
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "eval/report.h"

namespace fathom::cli {

enum class OpenResults : uint8_t {
  kNew,     // the folder must not have results yet
  kResume,  // what is there is read, and added to
  kShow,    // what is there is read, and nothing changed
};

// Lines that are appended and flushed, so that what an interrupt leaves can be resumed.
class LineFile {
 public:
  // Does nothing without a folder. The text that is there already, without a broken last line; to
  // be shown, a file may be missing.
  std::string open(const std::string& folder, const std::string& name, OpenResults how);
  void add(const std::string& lines);

 private:
  std::string path_;
  std::ofstream file_;
};

class ResultFiles {
 public:
  // `folder` may be "" but for kShow. Throws Error(kUsage) where kNew finds results,
  // Error(kBadFile) where kShow finds none, and where a file cannot be read.
  ResultFiles(const std::string& folder, OpenResults how);

  void add(const std::vector<eval::ResultLine>& session);
  void add(const eval::ProseLine& line);
  void add(const eval::CostLine& line);
  void add(const eval::AccountLine& line);
  void add(const eval::ProbeLine& line);

  std::vector<eval::ResultLine> results;
  std::vector<eval::ProseLine> prose;
  std::vector<eval::CostLine> costs;
  std::vector<eval::AccountLine> accounts;
  std::vector<eval::ProbeLine> probes;
  eval::Report report(double margin) const {
    return eval::make_report({results, prose, costs, margin, accounts, probes});
  }

  // Measurements of predictions that an older program made, which lack figures: not among `prose`.
  size_t older_prose = 0;

 private:
  LineFile results_file_, prose_file_, costs_file_, accounts_file_, probes_file_;
};

void write_file(const std::string& path, const std::string& text);

}  // namespace fathom::cli
