// What a user asks of the cache, in one line:
//
//   prefill=dense keep=all store=f16 fetch=all
//   stage=method or stage=method(parameter=value,...), separated by spaces, in any order
//
//
// STORE takes keys and values apart, and layers apart. The first entry of the list that has a layer
// counts; the last one has no brackets and is for all other layers:
//   store=q8/k2v2                     the keys of q8, the values of k2v2
//   store=f16[layers=0-1],k4v4
//
// A stage that is not named takes its default. Names and parameters are checked against the
// registry; an unknown one is refused with the nearest known one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/registry.h"
#include "kv/store/store.h"

namespace fathom::kv {

struct MethodCall {
  std::string name;
  std::map<std::string, std::string> parameters;
};

// One entry of the list after "store=".
struct StoreEntry {
  MethodCall keys;  // and values, where these are not named apart
  std::optional<MethodCall> values;
  std::optional<LayerRange> layers;  // none: all others
};

// The line, taken apart and checked against the registry.
struct PolicySpec {
  std::map<Stage, MethodCall> methods;  // STORE's are in `stores`
  std::vector<StoreEntry> stores;       // empty: the default
};
// Throws Error(kUsage).
PolicySpec parse_policy(std::string_view line);

// What the engine runs. Null policies are the defaults that do nothing: dense, all, all.
struct Policy {
  std::shared_ptr<const PrefillPolicy> prefill;
  std::optional<GemFilter> filter;  // of prompts; its reader is `prefill`
  std::shared_ptr<const KeepPolicy> keep;
  Store store;
  std::shared_ptr<const FetchPolicy> fetch;
  std::string line;  // complete, as it would be typed
};

// `native` is what store=auto means.
Policy make_policy(const PolicySpec& spec, kernel::KvFormat native);

}  // namespace fathom::kv
