// What a user asks of the cache, in one line:
//
//   prefill=dense keep=all store=f16 fetch=all
//   stage=method or stage=method(parameter=value,...), separated by spaces, in any order
//
// A stage that is not named takes its default. Names and parameters are checked against the
// registry; an unknown one is refused with the nearest known one.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernel/attention.h"
#include "kv/store/codec.h"

namespace fathom::kv {

enum class Stage : uint8_t { kPrefill, kKeep, kStore, kFetch };
std::string_view stage_name(Stage stage);

struct MethodCall {
  std::string name;
  std::map<std::string, std::string> parameters;
};

// The line, taken apart and checked against the registry.
using PolicySpec = std::map<Stage, MethodCall>;
// Throws Error(kUsage).
PolicySpec parse_policy(std::string_view line);

// A method as `fathom policies` shows it.
struct MethodInfo {
  Stage stage;
  std::string_view name;
  std::string_view summary;
};
std::span<const MethodInfo> all_methods();

// What the engine runs.
struct Policy {
  std::shared_ptr<const StoreCodec> store;
  std::string line;  // complete, as it would be typed
};

// `native` is what store=auto means.
Policy make_policy(const PolicySpec& spec, kernel::KvFormat native);

// The known word nearest to `word`, for hints; "" where none is near.
std::string nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace fathom::kv
