#include "file/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::file {
namespace {

namespace fs = std::filesystem;

void write(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, AppearsWhenItIsComplete) {
  const test::TempDir folder;
  const std::string path = folder.file("out");
  {
    AtomicFile file(path);
    file.write("lost");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(files_in(folder.path()), 0u);
  write(path, "kept");
  EXPECT_EQ(test::read_file(path), "kept");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, GivesTheRightsThatNewFilesGet) {
  const test::TempDir folder;
  const mode_t before = umask(077);
  write(folder.file("own"), "x");
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat(folder.file("own").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(AtomicFile, ALinkStaysOneAndLeadsToTheNewContents) {
  const test::TempDir folder;
  fs::create_directory(folder.file("elsewhere"));
  const fs::path target = folder.file("elsewhere/target"), link = folder.file("link");
  write(target, "old");
  fs::create_symlink(target, link);
  write(link, "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(test::read_file(target), "new");
}

TEST(AtomicFile, WhatIsNoFileIsNotReplaced) {
  const test::TempDir folder;
  const std::string pipe = folder.file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, folder.path()}) {
    try {
      write(path, "x");
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadFile);
      EXPECT_NE(error.hint(), "");
    }
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

}  // namespace
}  // namespace fathom::file
