#include "base/memory.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

TEST(Memory, SizesAsPeopleWriteThem) {
  EXPECT_EQ(parse_bytes("x", "0"), 0u);
  EXPECT_EQ(parse_bytes("x", "4096"), 4096u);
  EXPECT_EQ(parse_bytes("x", "16k"), 16384u);
  EXPECT_EQ(parse_bytes("x", "1.5GiB"), size_t{3} << 29);
  EXPECT_EQ(parse_bytes("x", "512 MB"), size_t{512} << 20);
  for (const char* bad : {"", "k", "-1", "4x", "1e40G", "nan", "4 GiB more"}) {
    EXPECT_THROW(parse_bytes("--memory", bad), Error) << bad;
  }
  EXPECT_EQ(human_bytes(3 << 29), "1.50 GiB");
  EXPECT_EQ(human_bytes(900), "900 B");
}

TEST(Memory, TheSystemHasSome) {
  EXPECT_GT(available_memory(), size_t{1} << 20);
  EXPECT_GT(peak_memory(), size_t{1} << 20);
}

}  // namespace
}  // namespace fathom
