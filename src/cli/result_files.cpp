#include "cli/result_files.h"

#include <filesystem>

#include "base/error.h"
#include "engine/text_file.h"
#include "file/atomic_file.h"

namespace fathom::cli {

namespace fs = std::filesystem;

std::string LineFile::open(const std::string& folder, const std::string& name) {
  if (folder.empty()) return "";
  path_ = folder + "/" + name;
  std::string text;
  if (fs::exists(path_)) {
    text = engine::read_text_file(path_);
    const size_t whole = text.rfind('\n') + 1;  // 0 where there is none
    if (whole < text.size()) fs::resize_file(path_, whole);
    text.resize(whole);
  }
  file_.open(path_, std::ios::app | std::ios::binary);
  if (!file_) throw bad_file(path_, "cannot be written");
  return text;
}

void LineFile::add(const std::string& lines) {
  if (!file_.is_open()) return;
  file_ << lines;
  file_.flush();
  if (!file_) throw bad_file(path_, "cannot be written");
}

ResultFiles::ResultFiles(const std::string& folder, bool resume) {
  if (folder.empty()) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw bad_file(folder, "{}", error.message());
  if (!resume && fs::exists(folder + "/results.jsonl")) {
    throw with_hint(usage_error("-o", "{} has results already", folder),
                    "--resume goes on with them; or name another folder");
  }
  const std::string at = folder + "/";
  results = eval::complete_sessions(
      eval::parse_results(results_file_.open(folder, "results.jsonl"), at + "results.jsonl"));
  prose = eval::parse_prose(prose_file_.open(folder, "prose.jsonl"), at + "prose.jsonl");
  costs = eval::parse_costs(costs_file_.open(folder, "costs.jsonl"), at + "costs.jsonl");
  accounts =
      eval::parse_accounts(accounts_file_.open(folder, "accounts.jsonl"), at + "accounts.jsonl");
}

void ResultFiles::add(const std::vector<eval::ResultLine>& session) {
  results.insert(results.end(), session.begin(), session.end());
  for (const eval::ResultLine& l : session) results_file_.add(eval::result_line(l));
}

void ResultFiles::add(const eval::ProseLine& line) {
  prose.push_back(line);
  prose_file_.add(eval::prose_line(line));
}

void ResultFiles::add(const eval::CostLine& line) {
  costs.push_back(line);
  costs_file_.add(eval::cost_line(line));
}

void ResultFiles::add(const eval::AccountLine& line) {
  accounts.push_back(line);
  accounts_file_.add(eval::account_line(line));
}

void write_file(const std::string& path, const std::string& text) {
  file::AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace fathom::cli
