// Where tests find ground truth.
//
// reference() is committed to the repository and always there. shared() is the folder `shared`
// beside the checkout, which holds other people's vocabularies, templates, models and books; a test
// that needs it begins with FATHOM_NEEDS_SHARED("path") and is skipped, saying why, without it.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace fathom::test {

std::string reference(const std::string& path);  // tests/reference/<path>
std::string bundled_model();                     // models/fathom-tiny-f16.gguf
std::optional<std::string> shared(const std::string& path);

std::string read_file(const std::string& path);
std::vector<float> read_floats(const std::string& path);

}  // namespace fathom::test

#define FATHOM_NEEDS_SHARED(path)                                                         \
  if (!::fathom::test::shared(path)) {                                                    \
    GTEST_SKIP() << "needs ../shared/" << (path) << ", which is not part of the project"; \
  }                                                                                       \
  static_assert(true)
