// A damaged model file is refused, or runs and means nothing; it never crashes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "engine/session.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::engine {
namespace {

// Loads the file and, if that works, generates a little.
enum class Outcome { kRefused, kRan };
Outcome try_model(const std::string& path) {
  ModelOptions options;
  options.threads = 1;
  options.context = 64;
  options.kv_bytes = size_t{16} << 20;
  options.batch = 16;
  try {
    Session session(Engine::load(path, options));
    session.feed_text("The old mill.");
    GenerateOptions generate;
    generate.max_tokens = 2;
    session.generate(generate, {});
    return Outcome::kRan;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()), "");
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return Outcome::kRefused;
  }
}

class HostileModel : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "hostile-" + std::to_string(getpid()) + ".gguf";
    std::filesystem::copy_file(test::bundled_model(), path_,
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(path_, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    size_ = std::filesystem::file_size(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_;
  size_t size_ = 0;
};

TEST_F(HostileModel, TruncatedAnywhere) {
  const std::string original = test::read_file(path_);
  std::mt19937_64 rng(5);
  for (int i = 0; i < 200; ++i) {
    // Half of the cuts in the first 200 KiB, where header and vocabulary are.
    const size_t cut = i % 2 == 0 ? rng() % (200 << 10) : rng() % size_;
    std::filesystem::resize_file(path_, cut);
    EXPECT_EQ(try_model(path_), Outcome::kRefused) << "cut at " << cut;
    std::filesystem::copy_file(test::bundled_model(), path_,
                               std::filesystem::copy_options::overwrite_existing);
  }
}

// Nothing is reserved or looped over for layers that the file cannot hold.
TEST_F(HostileModel, MoreLayersThanTensors) {
  std::string bytes = test::read_file(path_);
  const std::string key = "llama.block_count";
  const size_t at = bytes.find(key);
  ASSERT_NE(at, std::string::npos);
  bytes[at + key.size() + 4 + 3] = 0x10;  // behind the type: the number's highest byte
  test::write_file(path_, bytes);
  try {
    Engine::load(path_, {});
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("block_count"), std::string::npos) << error.what();
  }
}

TEST_F(HostileModel, AnyByteChanged) {
  std::mt19937_64 rng(6);
  const int file = open(path_.c_str(), O_RDWR);
  ASSERT_GE(file, 0);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const size_t at = i % 4 == 0 ? rng() % size_ : i % 4 == 1 ? rng() % 2048 : rng() % (160 << 10);
    uint8_t before = 0;
    ASSERT_EQ(pread(file, &before, 1, static_cast<off_t>(at)), 1);
    const uint8_t after = static_cast<uint8_t>(before ^ (1 + rng() % 255));
    ASSERT_EQ(pwrite(file, &after, 1, static_cast<off_t>(at)), 1);
    refused += try_model(path_) == Outcome::kRefused;
    ASSERT_EQ(pwrite(file, &before, 1, static_cast<off_t>(at)), 1);
  }
  close(file);
  EXPECT_GT(refused, 200);  // most of the header matters
  EXPECT_EQ(try_model(path_), Outcome::kRan);
}

}  // namespace
}  // namespace fathom::engine
