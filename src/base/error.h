// Shorthands for throwing fathom::Error with a formatted message, and the two kinds of assert.
//
//   throw bad_file(path, "tensor count {} exceeds the file", n);
//   throw with_hint(unsupported("general.architecture", "'{}' is not known", arch), "known: ...");
//
// FATHOM_CHECK is always on and guards invariants whose violation would corrupt memory.
// FATHOM_DCHECK is on unless NDEBUG and documents what the caller promised.
#pragma once

#include <fathom/error.h>
#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace fathom {

template <class... Args>
Error bad_file(std::string_view where, fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorCode::kBadFile, std::string(where), fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error unsupported(std::string_view where, fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorCode::kUnsupported, std::string(where), fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error usage_error(std::string_view where, fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorCode::kUsage, std::string(where), fmt::format(f, std::forward<Args>(args)...)};
}
template <class... Args>
Error out_of_memory(std::string_view where, fmt::format_string<Args...> f, Args&&... args) {
  return {ErrorCode::kOutOfMemory, std::string(where), fmt::format(f, std::forward<Args>(args)...)};
}

// The same error with a hint attached.
Error with_hint(const Error& error, std::string hint);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace fathom

#define FATHOM_CHECK(condition) \
  ((condition) ? (void)0 : ::fathom::check_failed(#condition, __FILE__, __LINE__))
#ifdef NDEBUG
#define FATHOM_DCHECK(condition) ((void)0)
#else
#define FATHOM_DCHECK(condition) FATHOM_CHECK(condition)
#endif
