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
#include <string>
#include <string_view>

#include "kv/registry.h"

namespace fathom::kv {

struct MethodCall {
  std::string name;
  std::map<std::string, std::string> parameters;
};

// The line, taken apart and checked against the registry.
using PolicySpec = std::map<Stage, MethodCall>;
// Throws Error(kUsage).
PolicySpec parse_policy(std::string_view line);

// What the engine runs. Null policies are the defaults that do nothing: dense, all, all.
struct Policy {
  std::shared_ptr<const PrefillPolicy> prefill;
  std::shared_ptr<const KeepPolicy> keep;
  std::shared_ptr<const StoreCodec> store;
  std::shared_ptr<const FetchPolicy> fetch;
  std::string line;  // complete, as it would be typed
};

// `native` is what store=auto means.
Policy make_policy(const PolicySpec& spec, kernel::KvFormat native);

}  // namespace fathom::kv
