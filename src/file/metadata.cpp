#include "file/metadata.h"

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

std::string_view type_name(const Value& value) {
  constexpr std::string_view kNames[] = {"a bool",        "an integer",       "a number",
                                         "a string",      "an integer array", "a number array",
                                         "a string array"};
  return kNames[value.index()];
}

template <class T>
const T& as(const Metadata& m, std::string_view key, const Value& value, std::string_view wanted) {
  if (const T* typed = std::get_if<T>(&value)) return *typed;
  throw bad_file(m.source(), "metadata key {} is {}, not {}", quoted_name(key), type_name(value),
                 wanted);
}

}  // namespace

const Value* Metadata::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

int64_t Metadata::integer(std::string_view key, int64_t fallback) const {
  const Value* value = find(key);
  return value ? as<int64_t>(*this, key, *value, "an integer") : fallback;
}

double Metadata::number(std::string_view key, double fallback) const {
  const Value* value = find(key);
  if (!value) return fallback;
  if (const int64_t* whole = std::get_if<int64_t>(value)) return static_cast<double>(*whole);
  return as<double>(*this, key, *value, "a number");
}

bool Metadata::flag(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  return value ? as<bool>(*this, key, *value, "a bool") : fallback;
}

std::string Metadata::text(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value ? as<std::string>(*this, key, *value, "a string") : std::string(fallback);
}

int64_t Metadata::require_integer(std::string_view key) const {
  if (!has(key)) throw bad_file(source_, "metadata key {} is missing", quoted_name(key));
  return integer(key, 0);
}

std::string Metadata::require_text(std::string_view key) const {
  if (!has(key)) throw bad_file(source_, "metadata key {} is missing", quoted_name(key));
  return text(key, "");
}

const Strings* Metadata::strings(std::string_view key) const {
  const Value* value = find(key);
  return value ? &as<Strings>(*this, key, *value, "a string array") : nullptr;
}

const Integers* Metadata::integers(std::string_view key) const {
  const Value* value = find(key);
  return value ? &as<Integers>(*this, key, *value, "an integer array") : nullptr;
}

std::optional<Floats> Metadata::numbers(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  if (const Integers* whole = std::get_if<Integers>(value)) {
    return Floats(whole->begin(), whole->end());
  }
  return as<Floats>(*this, key, *value, "a number array");
}

}  // namespace fathom::file
