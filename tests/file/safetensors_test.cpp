#include "file/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/half.h"
#include "file/safetensors_writer.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::file {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

MappedFile file_of(const std::string& bytes) {
  const auto view = std::as_bytes(std::span(bytes));
  return MappedFile::from_bytes("made-up.safetensors", {view.begin(), view.end()});
}

std::string with_length(uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), 8) + rest;
}
std::string with_header(const std::string& header, size_t data) {
  return with_length(header.size(), header + std::string(data, 'd'));
}

std::string refusal(const std::string& bytes, ErrorCode code = ErrorCode::kBadFile) {
  try {
    SafetensorsFile file(file_of(bytes));
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_THAT(e.what(), StartsWith("made-up.safetensors: "));
    return e.what();
  }
  ADD_FAILURE() << "was read: " << bytes.substr(8, 200);
  return "";
}

TEST(Safetensors, WritesAndReadsEveryKindOfElement) {
  test::TempDir dir;
  const std::vector<float> floats = {1, -2.5f, 3, 4, 5, 6};
  const std::vector<double> doubles = {0.1};
  const std::vector<uint16_t> halves = {to_half(0.5f).bits, to_half(-4).bits};
  const std::vector<uint16_t> brains = {to_bfloat(0.5f).bits, to_bfloat(-4).bits};
  const std::vector<int32_t> ints = {-1, 2, INT32_MIN};
  const std::vector<int64_t> longs = {INT64_MIN, 7};
  const std::vector<uint8_t> bytes = {0, 1, 255};
  const std::vector<int8_t> chars = {-128};
  const std::vector<uint32_t> words = {UINT32_MAX};
  const std::vector<SafetensorsView> tensors = {
      safetensors_view<uint8_t>("bytes", ElementType::kU8, {3}, bytes),
      safetensors_view<uint8_t>("flags", ElementType::kBool, {2, 1}, std::span(bytes).first(2)),
      safetensors_view<float>("floats", ElementType::kF32, {2, 3}, floats),
      safetensors_view<double>("scalar", ElementType::kF64, {}, doubles),
      safetensors_view<uint16_t>("halves", ElementType::kF16, {2}, halves),
      safetensors_view<uint16_t>("brains", ElementType::kBF16, {2}, brains),
      safetensors_view<int32_t>("ints", ElementType::kI32, {3}, ints),
      safetensors_view<int64_t>("longs", ElementType::kI64, {2}, longs),
      safetensors_view<int8_t>("chars", ElementType::kI8, {1}, chars),
      safetensors_view<uint32_t>("words", ElementType::kU32, {1}, words),
      safetensors_view<float>("empty", ElementType::kF32, {0, 4}, {}),
  };
  write_safetensors(dir.file("a.safetensors"), tensors,
                    {{"made by", "a test"}, {"quote", "\"\\\n"}});
  const SafetensorsFile file(dir.file("a.safetensors"));
  EXPECT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("made by"), "a test");
  EXPECT_EQ(file.metadata().at("quote"), "\"\\\n");
  EXPECT_EQ(to_floats(file.require("floats")), floats);
  EXPECT_EQ(file.require("floats").shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_THAT(to_floats(file.require("scalar")), ElementsAre(0.1f));
  EXPECT_TRUE(file.require("scalar").shape.empty());
  EXPECT_THAT(to_floats(file.require("halves")), ElementsAre(0.5f, -4.0f));
  EXPECT_THAT(to_floats(file.require("brains")), ElementsAre(0.5f, -4.0f));
  EXPECT_THAT(to_integers(file.require("ints")), ElementsAre(-1, 2, INT32_MIN));
  EXPECT_EQ(to_integers(file.require("longs")), longs);
  EXPECT_THAT(to_integers(file.require("bytes")), ElementsAre(0, 1, 255));
  EXPECT_THAT(to_integers(file.require("flags")), ElementsAre(0, 1));
  EXPECT_THAT(to_integers(file.require("chars")), ElementsAre(-128));
  EXPECT_THAT(to_integers(file.require("words")), ElementsAre(UINT32_MAX));
  EXPECT_EQ(file.require("empty").values(), 0u);
  for (const SafetensorsView& t : file.tensors()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.data.data()) % element_bytes(t.type), 0u) << t.name;
  }
  EXPECT_EQ(file.find("none"), nullptr);
  EXPECT_THROW(file.require("none"), Error);
  EXPECT_THROW(to_floats(file.require("ints")), Error);
  EXPECT_THROW(to_integers(file.require("floats")), Error);
}

// Written by the format's own library.
TEST(Safetensors, ReadsARecordedLayer) {
  FATHOM_NEEDS_SHARED("reference/methods/layer2.safetensors");
  for (const char* name : {"layer2", "expected"}) {
    const SafetensorsFile file(
        *test::shared(std::string("reference/methods/") + name + ".safetensors"));
    EXPECT_GT(file.tensors().size(), 1u);
    for (const SafetensorsView& t : file.tensors()) {
      uint64_t values = 1;
      for (const uint64_t axis : t.shape) values *= axis;
      EXPECT_EQ(t.values(), values) << t.name;
    }
  }
}

TEST(Safetensors, AByteForByteExample) {
  // One F16 value, 1.0, as the format's description lays it out.
  const std::string header = R"({"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})";
  SafetensorsFile file(file_of(with_length(header.size(), header + std::string("\x00\x3c", 2))));
  EXPECT_THAT(to_floats(file.require("x")), ElementsAre(1.0f));
  // Spaces after the header are padding.
  const std::string padded = header + "    ";
  SafetensorsFile same(file_of(with_length(padded.size(), padded + std::string("\x00\x3c", 2))));
  EXPECT_THAT(to_floats(same.require("x")), ElementsAre(1.0f));
}

TEST(Safetensors, WriterRefusesWhatMakesNoFile) {
  test::TempDir dir;
  const std::vector<float> two = {1, 2};
  const auto refused = [&](const std::vector<SafetensorsView>& tensors, const char* message) {
    try {
      write_safetensors(dir.file("bad.safetensors"), tensors);
      ADD_FAILURE() << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUsage);
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  };
  refused({safetensors_view<float>("a", ElementType::kF32, {3}, two)},
          "has 8 bytes, which its shape");
  refused({safetensors_view<float>("a", ElementType::kF32, {1ull << 62, 2}, two)}, "has 8 bytes");
  refused({safetensors_view<float>("__metadata__", ElementType::kF32, {2}, two)}, "reserved");
  refused({safetensors_view<float>("a", ElementType::kF32, {2}, two),
           safetensors_view<float>("a", ElementType::kF32, {2}, two)},
          "twice");
  refused({safetensors_view<float>("\xff", ElementType::kF32, {2}, two)}, "UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(HostileSafetensors, Lengths) {
  EXPECT_THAT(refusal(""), HasSubstr("the header's length"));
  EXPECT_THAT(refusal("1234567"), HasSubstr("the header's length"));
  EXPECT_THAT(refusal(with_length(3, "{}")), HasSubstr("inside the header"));
  EXPECT_THAT(refusal(with_length(UINT64_MAX, "{}")),
              HasSubstr("a header of 18446744073709551615"));
  EXPECT_THAT(refusal(with_length(100'000'001, "{}")), HasSubstr("at most 100000000"));
  EXPECT_THAT(refusal(with_length(0, "")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(with_header("[]", 0)), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(with_header("{}", 1)), HasSubstr("1 bytes of data, 1 of them no tensor's"));
}

TEST(HostileSafetensors, Headers) {
  const struct {
    const char* header;
    const char* message;
    ErrorCode code = ErrorCode::kBadFile;
  } kBad[] = {
      {R"({"x":1})", "'x' is a number, not an object"},
      {R"({"x":null})", "'x' is missing"},
      {R"({"x":{}})", "'x.dtype' is missing"},
      {R"({"x":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", "'F31'",
       ErrorCode::kUnsupported},
      {R"({"x":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", "'x.dtype' is a number"},
      {R"({"x":{"dtype":"F32","data_offsets":[0,8]}})", "'x.shape' is missing"},
      {R"({"x":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", "x.shape is not a list"},
      {R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "x.shape[0] is -2"},
      {R"({"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "not an integer"},
      {R"({"x":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})", "not an integer"},
      {R"({"x":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", "beyond 63"},
      {R"({"x":{"dtype":"F32","shape":[2]}})", "'x.data_offsets' is missing"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "not two numbers"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", "not two numbers"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":"08"}})", "not two numbers"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "lies at 8 to 0"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", "is -8"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", "but there are 8 bytes"},
      {R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
       "8 bytes long, which its shape"},
      {R"({"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       "its shape"},
      {R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", "begins at 4 of the data"},
      {R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "8 bytes of data, 4 of them"},
      {R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       "'y' begins at 4 of the data, where 8 was expected"},
      {R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       "begins at 0 of the data, where 8 was expected"},
      {R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"x":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})",
       "the key 'x' twice"},
      {R"({"__metadata__":7})", "__metadata__ is not an object"},
      {R"({"__metadata__":{"a":7}})", "'__metadata__.a' is a number, not a string"},
      {R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}x)", "not valid JSON"},
      {R"({"x":{"dtype":"U8","shape":[[8]],"data_offsets":[0,8]}})", "x.shape[0]"},
      {R"({"x":{"dtype":"U8","shape":[[[8]]],"data_offsets":[0,8]}})", "deeper than 4"},
  };
  for (const auto& bad : kBad) {
    EXPECT_THAT(refusal(with_header(bad.header, 8), bad.code), HasSubstr(bad.message))
        << bad.header;
  }
  std::string axes = "1";
  for (int i = 0; i < 32; ++i) axes += ",1";
  EXPECT_THAT(refusal(with_header(
                  R"({"x":{"dtype":"U8","shape":[)" + axes + R"(],"data_offsets":[0,1]}})", 1)),
              HasSubstr("at most 32 sizes"));
}

// A real file, damaged at random: read or refused, never worse.
TEST(HostileSafetensors, DamagedAtRandom) {
  test::TempDir dir;
  const std::vector<float> values(64, 1.5f);
  std::vector<SafetensorsView> tensors;
  for (int i = 0; i < 12; ++i) {
    tensors.push_back(
        safetensors_view<float>("layer." + std::to_string(i), ElementType::kF32, {4, 16}, values));
  }
  write_safetensors(dir.file("a.safetensors"), tensors, {{"k", "v"}});
  const std::string good = test::read_file(dir.file("a.safetensors"));
  const auto touch = [](const std::string& bytes) {
    try {
      const SafetensorsFile file(file_of(bytes));
      for (const SafetensorsView& t : file.tensors()) {
        if (!t.data.empty()) (void)(t.data.front() == t.data.back());
      }
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), StartsWith("made-up.safetensors: "));
    }
  };
  std::mt19937_64 random(5);
  for (size_t size = 0; size < good.size(); size += 7) touch(good.substr(0, size));
  for (int i = 0; i < 2000; ++i) {
    std::string bad = good;
    bad[random() % (i % 8 == 0 ? bad.size() : 1000)] = static_cast<char>(random());
    touch(bad);
  }
}

}  // namespace
}  // namespace fathom::file
