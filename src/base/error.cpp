#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace fathom {
namespace {

std::string joined(const std::string& where, const std::string& message) {
  return where.empty() ? message : where + ": " + message;
}

}  // namespace

Error::Error(ErrorCode code, const std::string& where, const std::string& message, std::string hint)
    : std::runtime_error(joined(where, message)),
      code_(code),
      where_(where),
      hint_(std::move(hint)) {}

Error with_hint(const Error& error, std::string hint) {
  std::string message = error.what();
  if (!error.where().empty()) message = message.substr(error.where().size() + 2);
  return {error.code(), error.where(), message, std::move(hint)};
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "fathom: internal error: %s fails at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace fathom
