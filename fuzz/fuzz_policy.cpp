// Any text as a policy line: made into policies, whose full line means the same again, or refused
// with a reason. Files that lines name are looked for in an empty folder.
#include <filesystem>
#include <string>

#include "base/error.h"
#include "fuzz_input.h"
#include "kernel/kernels.h"
#include "kv/policy.h"

namespace {

// Where no path that a line may spell leads to anything.
void leave_for_an_empty_folder() {
  static const bool left = [] {
    std::string name = std::filesystem::temp_directory_path() / "fathom-fuzz-XXXXXX";
    if (mkdtemp(name.data()) != nullptr) std::filesystem::current_path(name);
    return true;
  }();
  (void)left;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  leave_for_an_empty_folder();
  const std::string_view text = fuzz::text_of(data, size);
  if (text.find('/') != text.rfind('/')) return 0;  // one is for store=KEYS/VALUES
  for (const kernel::KvFormat native : {kernel::KvFormat::kF16, kernel::KvFormat::kBF16}) {
    try {
      const kv::Policy policy = kv::make_policy(kv::parse_policy(text), native);
      FATHOM_CHECK(kv::make_policy(kv::parse_policy(policy.line), native).line == policy.line);
    } catch (const Error& error) {
      FATHOM_CHECK(error.code() != ErrorCode::kInternal);
    }
  }
  return 0;
}
