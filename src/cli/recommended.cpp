#include "cli/recommended.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "file/atomic_file.h"
#include "file/json_text.h"
#include "text/hash.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kEnds = size_t{1} << 20, kSample = size_t{64} << 10, kSamples = 64;

uint64_t file_hash(const fs::path& path) {
  const MappedFile file(path.string());
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  uint64_t hash = text::mix_hash(bytes.size() + 1, 0x9E3779B97F4A7C15u);
  const auto add = [&](size_t at, size_t n) {
    hash = text::mix_hash(hash ^ text::hash_bytes(bytes.substr(std::min(at, bytes.size()), n)),
                          0xD1B54A32D192ED03u);
  };
  add(0, kEnds);
  add(bytes.size() - std::min(bytes.size(), kEnds), kEnds);
  for (size_t i = 0; i < kSamples; ++i) add(bytes.size() / kSamples * i, kSample);
  return hash;
}

// The files that make up a model: itself, or a folder's weights and settings.
std::vector<fs::path> model_files(const std::string& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".safetensors" || extension == ".json") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

fs::path config_folder() {
  const char* xdg = std::getenv("XDG_CONFIG_HOME");
  if (xdg && *xdg == '/') return xdg;
  const char* home = std::getenv("HOME");
  if (home && *home != '\0') return fs::path(home) / ".config";
  throw with_hint(usage_error("--kv auto", "there is no folder for settings"),
                  "set HOME or XDG_CONFIG_HOME");
}

}  // namespace

std::string model_identity(const std::string& path) {
  uint64_t hash = 1;
  for (const fs::path& file : model_files(path)) hash = text::mix_hash(hash ^ file_hash(file), 3);
  return fmt::format("{:016x}", hash);
}

std::string recommendation_path(const std::string& identity) {
  return config_folder() / "fathom" / "policies" / (identity + ".json");
}

void keep_recommendation(const std::string& identity, const Json& recommendation) {
  const fs::path path = recommendation_path(identity);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) throw bad_file(path.parent_path().string(), "{}", error.message());
  file::AtomicFile file(path.string());
  file.write(recommendation.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

Json parse_recommendation(std::string_view text, const std::string& source) {
  constexpr file::JsonLimits kLimits{.bytes = 1u << 20, .depth = 16, .values = 1u << 16};
  constexpr const char* kHint = "remove it, or run fathom recommend again";
  try {
    const file::Json json = file::parse_json(text, source, kLimits);
    if (json.is_object() && json.contains("kv") && json["kv"].is_string()) return json;
  } catch (const Error& error) {
    throw with_hint(error, kHint);
  }
  throw with_hint(bad_file(source, "holds no recommendation"), kHint);
}

std::optional<Json> kept_recommendation(const std::string& identity) {
  const std::string path = recommendation_path(identity);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  const MappedFile file(path);
  return parse_recommendation(
      {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
}

std::string recommended_policy(const std::string& model_path) {
  const std::optional<Json> kept = kept_recommendation(model_identity(model_path));
  if (!kept) {
    throw with_hint(
        usage_error("--kv auto", "nothing was recommended for {} yet", model_path),
        fmt::format("fathom recommend {} --memory 4GiB --length 32k finds a policy and keeps it",
                    model_path));
  }
  return (*kept)["kv"].get<std::string>();
}

}  // namespace fathom::cli
