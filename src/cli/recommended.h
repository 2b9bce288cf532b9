// What `fathom recommend` found for a model, kept for `--kv auto`.
//
// One file a model under $XDG_CONFIG_HOME/fathom/policies (or ~/.config/...), named by the model's
// contents, so that a copy or a renamed file is still known and a changed one is not.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/terminal.h"

namespace fathom::cli {

// 16 hexadecimal digits from the sizes of the model's files and a hash of each one's beginning, end
// and 64 samples between. Throws Error(kBadFile).
std::string model_identity(const std::string& path);

// Where a model's recommendation is kept. Throws Error(kUsage) where there is no home folder.
std::string recommendation_path(const std::string& identity);

// The file's text, taken apart; has "kv". Throws Error(kBadFile).
Json parse_recommendation(std::string_view text, const std::string& source);

// Replaces what was kept, in one step.
void keep_recommendation(const std::string& identity, const Json& recommendation);
// What was kept; nothing where nothing was.
std::optional<Json> kept_recommendation(const std::string& identity);

// The policy line kept for the model. Throws Error(kUsage) with a hint where there is none.
std::string recommended_policy(const std::string& model_path);

}  // namespace fathom::cli
