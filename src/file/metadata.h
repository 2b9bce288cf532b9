// The key-value part of a model file, in GGUF's vocabulary of keys and types.
//
// Values are validated UTF-8-agnostic bytes as the file holds them. Typed getters convert between
// integer widths where the value fits and throw Error(kBadFile), naming file and key, where the
// type or the range is wrong. Immutable after loading, so safe to read from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fathom::file {

using Strings = std::vector<std::string>;
using Integers = std::vector<int64_t>;
using Floats = std::vector<double>;

// Integers of every width are held as int64 (a u64 above 2^63 is refused), floats as double, an
// array as a vector of one of the three; arrays of arrays are refused.
using Value = std::variant<bool, int64_t, double, std::string, Integers, Floats, Strings>;

class Metadata {
 public:
  Metadata() = default;
  explicit Metadata(std::string source) : source_(std::move(source)) {}

  void set(std::string key, Value value) {
    values_.insert_or_assign(std::move(key), std::move(value));
  }

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Value* find(std::string_view key) const;
  const std::map<std::string, Value, std::less<>>& all() const { return values_; }
  // The file the values came from, for messages.
  const std::string& source() const { return source_; }

  // Without a value: `fallback`; with one of a wrong type: an error.
  int64_t integer(std::string_view key, int64_t fallback) const;
  double number(std::string_view key, double fallback) const;  // accepts integers
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;

  // Without a value: an error.
  int64_t require_integer(std::string_view key) const;
  std::string require_text(std::string_view key) const;

  // nullptr without a value.
  const Strings* strings(std::string_view key) const;
  const Integers* integers(std::string_view key) const;
  std::optional<Floats> numbers(std::string_view key) const;  // accepts an array of integers

 private:
  std::string source_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace fathom::file
