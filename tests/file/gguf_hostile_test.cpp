// Damaged and malicious GGUF files: every one is opened without harm or refused with an Error that
// names the file and what is wrong with it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "file/gguf.h"
#include "support/gguf_bytes.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::file {
namespace {

using test::GgufBytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// The bundled model, to be damaged in place.
class Victim {
 public:
  Victim() : path_(dir_.file("victim.gguf")), original_(test::read_file(test::bundled_model())) {
    test::write_file(path_, original_);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    header_ = Checkpoint::open(path_).tensors()[0].offset;
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() { ::close(fd_); }

  const std::string& path() const { return path_; }
  size_t size() const { return original_.size(); }
  size_t header_bytes() const { return header_; }

  void put(size_t at, char byte) { ASSERT_EQ(::pwrite(fd_, &byte, 1, static_cast<off_t>(at)), 1); }
  void restore(size_t at) { put(at, original_[at]); }
  char original(size_t at) const { return original_[at]; }
  void truncate(size_t size) { ASSERT_EQ(::ftruncate(fd_, static_cast<off_t>(size)), 0); }

 private:
  test::TempDir dir_;
  std::string path_, original_;
  int fd_ = -1;
  size_t header_ = 0;
};

enum class Outcome { kOpened, kRefused };

// Opens the file and touches both ends of every tensor.
Outcome open_and_touch(const std::string& path) {
  try {
    const Checkpoint c = Checkpoint::open(path);
    unsigned sum = 0;
    for (const TensorView& t : c.tensors()) {
      sum += std::to_integer<unsigned>(t.data.front()) + std::to_integer<unsigned>(t.data.back());
      EXPECT_EQ(t.data.size(), t.rows() * t.row_bytes());
    }
    volatile unsigned sink = sum;
    (void)sink;
    return Outcome::kOpened;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), StartsWith(path)) << "the message names the file";
    EXPECT_GT(std::string(e.what()).size(), path.size() + 10);
    EXPECT_LT(std::string(e.what()).size(), path.size() + 400);
    EXPECT_TRUE(e.code() == ErrorCode::kBadFile || e.code() == ErrorCode::kUnsupported);
    return Outcome::kRefused;
  }
}

TEST(HostileGguf, TruncatedAnywhere) {
  Victim victim;
  std::mt19937_64 random(1);
  std::vector<size_t> sizes = {
      0, 1, 3, 4, 7, 8, 15, 16, 23, 24, victim.header_bytes(), victim.size() - 1};
  while (sizes.size() < 100) sizes.push_back(random() % victim.header_bytes());
  while (sizes.size() < 200) sizes.push_back(random() % victim.size());
  std::sort(sizes.rbegin(), sizes.rend());
  for (const size_t size : sizes) {
    victim.truncate(size);
    EXPECT_EQ(open_and_touch(victim.path()), Outcome::kRefused) << "cut to " << size;
  }
}

TEST(HostileGguf, OneByteChanged) {
  Victim victim;
  std::mt19937_64 random(2);
  int refused_in_header = 0;
  for (int i = 0; i < 2000; ++i) {
    const bool header = i % 4 != 3;
    const size_t at =
        header ? random() % victim.header_bytes()
               : victim.header_bytes() + random() % (victim.size() - victim.header_bytes());
    const char flip = static_cast<char>(1 + random() % 255);
    victim.put(at, static_cast<char>(victim.original(at) ^ flip));
    const Outcome outcome = open_and_touch(victim.path());
    if (header) refused_in_header += outcome == Outcome::kRefused;
    if (!header) {
      EXPECT_EQ(outcome, Outcome::kOpened) << "data byte " << at;
    }
    victim.restore(at);
  }
  // Most of the header is the text of tokens, which may be anything.
  EXPECT_GT(refused_in_header, 300);
  EXPECT_EQ(open_and_touch(victim.path()), Outcome::kOpened);
}

TEST(HostileGguf, EveryByteOfTheCountsAndTheTensorList) {
  Victim victim;
  const size_t list = victim.header_bytes() - 38 * 60;  // the last lines of the header
  for (size_t at = 0; at < victim.header_bytes(); at == 200 ? at = list : ++at) {
    for (const int byte : {0x00, 0x7f, 0x80, 0xff}) {
      victim.put(at, static_cast<char>(byte));
      open_and_touch(victim.path());
    }
    victim.restore(at);
  }
}

struct Bad {
  const char* name;
  GgufBytes bytes;
  const char* message;
  ErrorCode code = ErrorCode::kBadFile;
};

void expect_refused(const std::vector<Bad>& files) {
  for (const Bad& bad : files) {
    try {
      read_gguf(bad.bytes.file());
      ADD_FAILURE() << bad.name << " was opened";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), bad.code) << bad.name;
      EXPECT_THAT(e.what(), AllOf(StartsWith("made-up.gguf: "), HasSubstr(bad.message)))
          << bad.name;
    }
  }
}

constexpr uint64_t kHuge = UINT64_MAX;

TEST(HostileGguf, Headers) {
  std::string magic = GgufBytes(0, 0).bytes();
  magic[3] = 'J';
  try {
    const auto view = std::as_bytes(std::span(magic));
    read_gguf(MappedFile::from_bytes("made-up.gguf", {view.begin(), view.end()}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("is not a GGUF file"));
  }
  expect_refused({
      {"version_0", GgufBytes(0, 0, 0), "GGUF version 0"},
      {"version_1", GgufBytes(0, 0, 1), "GGUF version 1"},
      {"version_4", GgufBytes(0, 0, 4), "GGUF version 4"},
      {"big_endian", GgufBytes(0, 0, 3u << 24), "big-endian"},
      {"tensors", GgufBytes(1, 0), "tensor count 1"},
      {"tensors_huge", GgufBytes(kHuge, 0), "tensor count 18446744073709551615"},
      {"keys", GgufBytes(0, 1), "key count 1"},
      {"keys_huge", GgufBytes(0, kHuge), "key count 18446744073709551615"},
      {"keys_many", GgufBytes(0, 1 << 17).data(13 << 17), "key count 131072"},
      {"tensors_many", GgufBytes(1 << 17, 0).data(24 << 17), "tensor count 131072"},
  });
}

TEST(HostileGguf, Keys) {
  const auto one = [] { return GgufBytes(0, 1); };
  expect_refused({
      {"key_length", one().put(kHuge).data(64), "the name of key 0 is 18446744073709551615 bytes"},
      {"key_long", one().text(std::string(5000, 'k')).data(64), "the name of key 0 is 5000 bytes"},
      {"key_cut", one().put<uint64_t>(40).raw("0123456789"), "inside the name of key 0"},
      {"no_type", one().text("01234567"), "inside metadata key '01234567'"},
      {"type_13", one().text("k").put<uint32_t>(13).data(64), "'k' has the unknown type 13"},
      {"type_huge", one().text("k").put<uint32_t>(UINT32_MAX).data(64), "unknown type 4294967295"},
      {"value_cut", one().text("0123456").put<uint32_t>(10), "inside metadata key '0123456'"},
      {"u64_large", one().text("k").put<uint32_t>(10).put(kHuge), "beyond 63 bits"},
      {"text_length", one().text("k").put<uint32_t>(8).put(kHuge), "metadata key 'k' is 1844674"},
      {"text_cut", one().text("k").put<uint32_t>(8).put<uint64_t>(9).raw("12345678"),
       "inside metadata key 'k'"},
      {"twice", GgufBytes(0, 2).u32("k", 1).u32("k", 2), "metadata key 'k' is there twice"},
      {"nested", one().array("k", 9, 1).put<uint32_t>(4).put<uint64_t>(0), "array of arrays"},
      {"array_type", one().array("k", 77, 1).data(64), "array of the unknown type 77"},
      {"array_count", one().array("k", 4, kHuge), "'k' claims 18446744073709551615 elements"},
      {"array_cut", one().array("k", 4, 3).put<uint64_t>(0), "'k' claims 3 elements"},
      {"texts_cut", one().array("k", 8, 2).text("a").put<uint64_t>(3), "inside metadata key 'k'"},
      {"text_in_array", one().array("k", 8, 1).put(kHuge), "metadata key 'k' is 1844674"},
  });
}

TEST(HostileGguf, NamesAreMadeFitForATerminal) {
  try {
    read_gguf(GgufBytes(0, 2).u32("\x1b[2J", 1).u32("\x1b[2J", 1).file());
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("'\\x1b[2J'"));
  }
  try {
    const std::string name(4000, 'n');
    read_gguf(GgufBytes(0, 2).u32(name, 1).u32(name, 1).file());
    FAIL();
  } catch (const Error& e) {
    EXPECT_LT(std::string(e.what()).size(), 200u);
  }
}

TEST(HostileGguf, ArraysDoNotEatMemory) {
  // 40 million one-byte integers would become 320 MB of them.
  GgufBytes bytes(0, 3);
  for (const char* key : {"a", "b", "c"}) bytes.array(key, 0, 14'000'000).data(14'000'000, 1);
  expect_refused({{"bytes", bytes, "'c' brings the arrays to 42000000 elements"}});
}

TEST(HostileGguf, Tensors) {
  const auto one = [] { return GgufBytes(1, 0); };
  const std::vector<uint64_t> five(5, 1);
  expect_refused({
      {"no_axes", one().tensor("t", {}).data(64), "tensor 't' has 0 axes"},
      {"five_axes", one().tensor("t", five).data(64), "tensor 't' has 5 axes"},
      {"axes_huge", one().text("t").put<uint32_t>(UINT32_MAX).data(64), "has 4294967295 axes"},
      {"empty_axis", one().tensor("t", {4, 0}).data(64), "impossible shape for F32: [4, 0]"},
      {"axis_huge", one().tensor("t", {kHuge}).data(64), "impossible shape"},
      {"product", one().tensor("t", {1ull << 40, 1ull << 40}).data(64), "impossible shape"},
      {"bytes", one().tensor("t", {1ull << 40, 1ull << 22}).data(64), "impossible shape"},
      {"ragged", one().tensor("t", {33}, 2).data(64), "impossible shape for Q4_0: [33]"},
      {"ragged_k", one().tensor("t", {128, 2}, 12).data(512), "impossible shape for Q4_K"},
      {"unknown", one().tensor("t", {4}, 4).data(64), "'t' has the type 4",
       ErrorCode::kUnsupported},
      {"activations", one().tensor("t", {256}, 15).data(512), "type 15", ErrorCode::kUnsupported},
      {"type_huge", one().tensor("t", {4}, UINT32_MAX).data(64), "type 4294967295",
       ErrorCode::kUnsupported},
      {"beyond", one().tensor("t", {4}, 0, 64).data(64), "needs 16 bytes at offset"},
      {"half_beyond", one().tensor("t", {16}, 0, 32).data(64), "needs 64 bytes at offset"},
      {"far", one().tensor("t", {4}, 0, kHuge - 31).data(64), "tensor 't' has the offset 184467"},
      {"far_too", one().tensor("t", {4}, 0, 1ull << 63).data(64), "needs 16 bytes at offset"},
      {"misaligned", one().tensor("t", {4}, 0, 16).data(64), "offset 16 is not aligned to 32"},
      {"twice", GgufBytes(2, 0).tensor("t", {4}).tensor("t", {4}).data(64), "'t' is there twice"},
      {"no_data", one().tensor("t", {4}), "needs 16 bytes at offset"},
      {"cut", GgufBytes(2, 0).tensor("tensor", {4, 4}).text("u").data(0, 1), "inside tensor 'u'"},
      {"name", one().put(kHuge).data(64), "the name of tensor 0 is 18446744073709551615 bytes"},
  });
}

TEST(HostileGguf, Alignments) {
  const auto with = [](uint32_t alignment) {
    return GgufBytes(1, 1).u32("general.alignment", alignment).tensor("t", {4}).data(4096, 4096);
  };
  for (const uint32_t bad : {0u, 1u, 3u, 4u, 24u, 1u << 21, 1u << 31, UINT32_MAX}) {
    expect_refused({{"alignment", with(bad), "general.alignment is"}});
  }
  for (const uint32_t good : {8u, 32u, 4096u}) {
    EXPECT_NO_THROW(read_gguf(with(good).file())) << good;
  }
  expect_refused({{"text", GgufBytes(0, 1).string("general.alignment", "32"),
                   "'general.alignment' is a string, not an integer"}});
}

TEST(HostileGguf, ThingsThatAreNoFiles) {
  test::TempDir dir;
  EXPECT_EQ(open_and_touch(dir.file("missing.gguf")), Outcome::kRefused);
  ASSERT_EQ(::mkfifo(dir.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(open_and_touch(dir.file("pipe")), Outcome::kRefused);
  test::write_file(dir.file("empty.gguf"), "");
  EXPECT_EQ(open_and_touch(dir.file("empty.gguf")), Outcome::kRefused);
}

}  // namespace
}  // namespace fathom::file
