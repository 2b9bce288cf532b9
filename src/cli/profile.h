// Results of `fathom profile`, and the page that shows them.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "eval/profile.h"

namespace fathom::cli {

struct LayerResult {
  eval::LayerProfile profile;
  std::vector<eval::PolicyRecall> policies;
  std::string note;  // of the layer's window and soft cap; may be empty
};

struct ProfileReport {
  std::string model, text, command;
  size_t tokens = 0, prompt = 0, layers_of_model = 0;
  eval::ProfileOptions options;
  std::vector<LayerResult> layers;
};

std::string profile_text(const ProfileReport& report);
Json profile_json(const ProfileReport& report);
// One self-contained page: inline SVG, no scripts, no network.
std::string profile_html(const ProfileReport& report);

// The four pictures of a head: name, what it is, and the number, in [0, 1].
struct HeadMeasure {
  const char* name;
  std::string meaning;
  double (*value)(const eval::HeadProfile&);
};
std::vector<HeadMeasure> head_measures(const eval::ProfileOptions& options);

}  // namespace fathom::cli
