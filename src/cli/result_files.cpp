#include "cli/result_files.h"

#include <filesystem>

#include "base/error.h"
#include "engine/text_file.h"
#include "file/atomic_file.h"

namespace fathom::cli {

namespace fs = std::filesystem;

std::string LineFile::open(const std::string& folder, const std::string& name, OpenResults how) {
  if (folder.empty()) return "";
  path_ = folder + "/" + name;
  std::string text;
  if (fs::exists(path_)) {
    text = engine::read_text_file(path_);
    const size_t whole = text.rfind('\n') + 1;  // 0 where there is none
    if (whole < text.size() && how != OpenResults::kShow) fs::resize_file(path_, whole);
    text.resize(whole);
  }
  if (how == OpenResults::kShow) return text;
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

namespace {

void prepare(const std::string& folder, OpenResults how) {
  const bool there = fs::exists(folder + "/results.jsonl");
  if (how == OpenResults::kShow) {
    if (there) return;
    throw with_hint(bad_file(folder, "holds no results of an evaluation"),
                    "name the folder that `fathom eval -o` wrote");
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw bad_file(folder, "{}", error.message());
  if (how == OpenResults::kNew && there) {
    throw with_hint(usage_error("-o", "{} has results already", folder),
                    "--resume goes on with them; or name another folder");
  }
}

}  // namespace

ResultFiles::ResultFiles(const std::string& folder, OpenResults how) {
  if (folder.empty() && how != OpenResults::kShow) return;
  prepare(folder, how);
  const auto read = [&](LineFile& file, const char* name, auto parse) {
    try {
      return parse(file.open(folder, name, how), folder + "/" + name);
    } catch (const Error& error) {
      if (!error.hint().empty()) throw;
      throw with_hint(error, "another version may have written it: name another folder");
    }
  };
  results = eval::complete_sessions(read(results_file_, "results.jsonl", eval::parse_results));
  prose = read(prose_file_, "prose.jsonl", [&](std::string_view text, const std::string& source) {
    return eval::parse_prose(text, source, &older_prose);
  });
  costs = read(costs_file_, "costs.jsonl", eval::parse_costs);
  accounts = read(accounts_file_, "accounts.jsonl", eval::parse_accounts);
  probes = read(probes_file_, "probes.jsonl", eval::parse_probes);
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

void ResultFiles::add(const eval::ProbeLine& line) {
  probes.push_back(line);
  probes_file_.add(eval::probe_line(line));
}

void write_file(const std::string& path, const std::string& text) {
  file::AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace fathom::cli
