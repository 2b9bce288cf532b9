// JSON out of untrusted files.
//
// parse_json() is strict and bounded: RFC 8259 and valid UTF-8 only, no duplicate keys, and no more
// text, nesting or values than the limits allow, so neither the stack nor the memory of a hostile
// file's reader runs out. JsonView reads what was parsed: a member of the wrong type is an error
// that names the file and the path to it ("text_config.hidden_size"). `null` counts as absent, as
// configurations use it. All errors are Error(kBadFile).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::file {

using Json = nlohmann::json;

struct JsonLimits {
  size_t bytes = 1u << 20;
  size_t depth = 32;         // nested arrays and objects
  size_t values = 1u << 20;  // of any kind
};

// `source` is the file's name for messages.
Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

// A value and where it came from. Points into the Json, which must outlive it.
class JsonView {
 public:
  // REQUIRES: `source` outlives the view.
  JsonView(const Json& value, const std::string& source, std::string path = {});

  const Json& json() const { return *value_; }
  const std::string& source() const { return *source_; }
  const std::string& path() const { return path_; }  // "" at the top

  bool is_object() const { return value_->is_object(); }
  bool is_array() const { return value_->is_array(); }
  bool is_string() const { return value_->is_string(); }
  size_t size() const { return value_->size(); }

  // Members of an object. nullopt where there is none, or null.
  std::optional<JsonView> find(const std::string& key) const;
  std::optional<int64_t> integer(const std::string& key) const;
  std::optional<double> number(const std::string& key) const;  // finite; integers too
  std::optional<bool> flag(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;

  // The same, but absence is an error.
  JsonView require(const std::string& key) const;
  int64_t require_integer(const std::string& key) const;
  std::string require_text(const std::string& key) const;

  // Elements of an array.
  JsonView element(size_t index) const;

  // This value itself.
  int64_t as_integer() const;
  double as_number() const;
  const std::string& as_text() const;

 private:
  const Json* value_;
  const std::string* source_;
  std::string path_;
};

}  // namespace fathom::file
