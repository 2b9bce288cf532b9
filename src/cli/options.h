// Options that several commands share, under the names that users of llama.cpp know.
#pragma once

#include <fathom/options.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "engine/engine.h"

namespace fathom::cli {

// Which model, and how it is run.
struct ModelArgs {
  std::string model;  // "": the bundled one
  int threads = 0;
  size_t context = 0;
  size_t batch = 512;
  std::string kv;
  std::string kv_memory;

  void add_to(CLI::App& command);
  // The path to load: what was named, or the bundled model.
  std::string path() const;
  ModelOptions options() const;
};

// The model's path alone, for commands that do not run it.
void add_model_argument(CLI::App& command, std::string& model);

// -t of commands that take no other ModelArgs; 0 is every physical core.
void add_threads_argument(CLI::App& command, int& threads);

// How text is generated.
struct GenerateArgs {
  GenerateOptions options;
  std::vector<std::string> logit_bias;

  // `temperature`: the command's default.
  void add_to(CLI::App& command, float temperature);
  GenerateOptions get() const;
};

// The model that comes with Fathom: $FATHOM_MODEL, or where the program was built or installed.
// Throws Error(kBadFile) where there is none.
std::string bundled_model();
// What was named, or the bundled model.
std::string model_path(const std::string& named);

// The model, for commands that look into it: exact keys and values, and a context of their own.
// `batch`: tokens read in one step; 0: as usual.
struct ExactModel {
  std::string model;  // named; "": the bundled one
  int threads = 0;
  size_t context = 0, batch = 0;
};
std::shared_ptr<engine::Engine> load_exact(const ExactModel& asked, ProgressLine& progress);

}  // namespace fathom::cli
