// The one exception type that libfathom throws for bad input, missing resources and refusals.
//
// what()  one line: where, then what was wrong, with the offending value.
// where() the file, option or field the complaint is about; may be empty.
// hint()  what to do about it; may be empty.
//
// Programming errors inside the library are asserts, never this type.
#pragma once

#include <stdexcept>
#include <string>

#if defined(_WIN32)
#define FATHOM_API
#else
#define FATHOM_API __attribute__((visibility("default")))
#endif

namespace fathom {

// The values double as the exit codes of the `fathom` program (docs/commands.md).
enum class ErrorCode {
  kInternal = 1,     // a failure of the system or of Fathom itself
  kUsage = 2,        // an option or argument that makes no sense
  kBadFile = 3,      // a file that is missing, damaged or not what it claims to be
  kUnsupported = 4,  // well-formed, but a thing Fathom does not do
  kOutOfMemory = 5,  // does not fit in the memory allowed
  kTooLong = 6,      // a prompt longer than the context
};

class FATHOM_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& where, const std::string& message,
        std::string hint = {});

  ErrorCode code() const { return code_; }
  const std::string& where() const { return where_; }
  const std::string& hint() const { return hint_; }

 private:
  ErrorCode code_;
  std::string where_;
  std::string hint_;
};

}  // namespace fathom
