// What the registry knows of a method: a name for a stage, its paper, and its parameters with
// defaults and ranges, which `fathom policies` prints and the parser of --kv checks.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace fathom::kv {

enum class Stage : uint8_t { kPrefill, kKeep, kStore, kFetch };
inline constexpr size_t kStages = 4;
std::string_view stage_name(Stage stage);

inline constexpr std::string_view kAnyText = "TEXT";

struct ParameterInfo {
  std::string_view name;
  std::string_view value;    // the default, as it would be typed
  std::string_view choices;  // "a|b|c"; "" for a number; kAnyText for a word such as a file name
  double low = 0, high = 0;  // of a number
  std::string_view help;
};

struct MethodInfo {
  Stage stage = Stage::kPrefill;
  std::string_view name = {};
  std::string_view summary = {};
  std::string_view paper = {};  // title, year, arXiv number; "" for what needs none
  std::string_view needs = {};  // beside keys and queries, such as "a head table"; "" for nothing
  std::string_view cost = {};   // of the method itself
  std::span<const ParameterInfo> parameters = {};
  // Parameters, as typed, with which a method that leaves out keys leaves out none: "threshold=1".
  // Tests hold it to that. "" for a method that has no such setting.
  std::string_view exact = {};
};

// A method's parameters: what was typed, and defaults for the rest. Every name and value was
// checked against the method's ParameterInfo, so asking for one that the method has cannot fail.
class Parameters {
 public:
  // Throws Error(kUsage) for a name the method does not have, a value that is not a number or none
  // of the choices, or one out of range; `where` says where it was typed.
  Parameters(const MethodInfo& info, const std::map<std::string, std::string>& typed,
             std::string_view where);

  double number(std::string_view name) const;
  // Throws Error(kUsage) for a fraction.
  size_t count(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  // "name(a=1,b=2)" with every parameter, or just the name where there are none.
  std::string line() const;

 private:
  const MethodInfo* info_;
  std::map<std::string, std::string, std::less<>> values_;
};

// The known word nearest to `word`, for hints; "" where none is near.
std::string nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace fathom::kv
