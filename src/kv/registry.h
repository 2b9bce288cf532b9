// Every method there is: one line each in registry.cpp, beside the file pair that holds it.
#pragma once

#include <memory>
#include <span>

#include "kernel/attention.h"
#include "kv/fetch/fetch_policy.h"
#include "kv/keep/keep_policy.h"
#include "kv/method.h"
#include "kv/prefill/gemfilter.h"
#include "kv/prefill/prefill_policy.h"
#include "kv/store/coded.h"

namespace fathom::kv {

// A method and how it is made; the pointer of its stage is set. Factories return null for the
// method that does nothing (dense, all): the engine has no work to do for it.
struct Method {
  MethodInfo info;
  std::unique_ptr<const PrefillPolicy> (*prefill)(const Parameters&) = nullptr;
  GemFilter (*filter)(const Parameters&) = nullptr;  // PREFILL, too: chooses tokens, not keys
  std::unique_ptr<const KeepPolicy> (*keep)(const Parameters&) = nullptr;
  std::unique_ptr<const FetchPolicy> (*fetch)(const Parameters&) = nullptr;
  // `native`: the format that this machine multiplies best.
  CodedFormat (*store)(const Parameters&, kernel::KvFormat native) = nullptr;
};

std::span<const Method> all_methods();
// The method, or null.
const Method* find_method(Stage stage, std::string_view name);

}  // namespace fathom::kv
