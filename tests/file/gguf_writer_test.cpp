#include "file/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "file/checkpoint.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::file {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }

std::string failure(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

void copy_all(const Checkpoint& from, GgufWriter& out) {
  for (const auto& [key, value] : from.metadata().all()) out.set(key, value);
  for (const TensorView& t : from.tensors()) out.add_tensor(t.name, t.type, t.shape);
  for (const TensorView& t : from.tensors()) {
    // Row by row, as a model too large for memory is written.
    for (size_t at = 0; at < t.data.size(); at += t.row_bytes()) {
      out.write(t.data.subspan(at, t.row_bytes()));
    }
  }
}

void expect_same(const Checkpoint& got, const Checkpoint& want) {
  EXPECT_TRUE(got.metadata().all() == want.metadata().all());
  ASSERT_EQ(got.tensors().size(), want.tensors().size());
  for (size_t i = 0; i < got.tensors().size(); ++i) {
    const TensorView &g = got.tensors()[i], &w = want.tensors()[i];
    EXPECT_EQ(g.name, w.name);
    EXPECT_EQ(g.type, w.type);
    EXPECT_EQ(g.shape, w.shape);
    EXPECT_TRUE(std::equal(g.data.begin(), g.data.end(), w.data.begin(), w.data.end())) << g.name;
  }
}

TEST(GgufWriter, WritesWhatWasRead) {
  test::TempDir dir;
  for (const std::string& path : {test::bundled_model(), test::reference("logits/gemma2.gguf")}) {
    const Checkpoint model = Checkpoint::open(path);
    GgufWriter out(dir.file("copy.gguf"));
    copy_all(model, out);
    out.finish();
    expect_same(Checkpoint::open(dir.file("copy.gguf")), model);
  }
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(GgufWriter, KeepsEveryKindOfValue) {
  test::TempDir dir;
  GgufWriter out(dir.file("a.gguf"));
  out.set("text", "x");
  out.set("text", "replaced");
  out.set("small", int64_t{7});
  out.set("large", int64_t{1} << 40);
  out.set("negative", int64_t{-3});
  out.set("number", 0.5);
  out.set("flag", true);
  out.set("integers", Integers{1, -2});
  out.set("wide", Integers{int64_t{1} << 33});
  out.set("numbers", Floats{0.25, 4});
  out.set("words", Strings{"", "w"});
  out.set("none", Strings{});
  out.finish();
  const Checkpoint c = Checkpoint::open(dir.file("a.gguf"));
  const Metadata& m = c.metadata();
  EXPECT_EQ(m.require_text("text"), "replaced");
  EXPECT_EQ(m.require_integer("small"), 7);
  EXPECT_EQ(m.require_integer("large"), int64_t{1} << 40);
  EXPECT_EQ(m.require_integer("negative"), -3);
  EXPECT_EQ(m.number("number", 0), 0.5);
  EXPECT_TRUE(m.flag("flag", false));
  EXPECT_THAT(*m.integers("integers"), ElementsAre(1, -2));
  EXPECT_THAT(*m.integers("wide"), ElementsAre(int64_t{1} << 33));
  EXPECT_THAT(*m.numbers("numbers"), ElementsAre(0.25, 4));
  EXPECT_THAT(*m.strings("words"), ElementsAre("", "w"));
  EXPECT_TRUE(m.strings("none")->empty());
  EXPECT_EQ(m.all().size(), 11u);
}

TEST(GgufWriter, AlignsTensors) {
  test::TempDir dir;
  GgufWriter out(dir.file("a.gguf"));
  out.set("general.alignment", int64_t{256});
  out.add_tensor("a", TensorType::kQ4_0, {32, 3});
  out.add_tensor("b", TensorType::kF16, {5});
  out.write(bytes_of(std::string(20, 'a')));
  out.write(bytes_of(std::string(34, 'A')));
  out.write(bytes_of(std::string(10, 'b')));
  out.finish();
  const Checkpoint c = Checkpoint::open(dir.file("a.gguf"));
  EXPECT_EQ(c.require("a").offset % 256, 0u);
  EXPECT_EQ(c.require("b").offset, c.require("a").offset + 256);
  EXPECT_EQ(c.require("a").data[19], std::byte{'a'});
  EXPECT_EQ(c.require("a").data[20], std::byte{'A'});
  EXPECT_EQ(c.require("b").data[9], std::byte{'b'});
}

TEST(GgufWriter, RefusesCallsThatMakeNoFile) {
  test::TempDir dir;
  GgufWriter out(dir.file("a.gguf"));
  out.add_tensor("a", TensorType::kF32, {2});
  EXPECT_THAT(failure([&] { out.add_tensor("a", TensorType::kF32, {2}); }), HasSubstr("twice"));
  EXPECT_THAT(failure([&] { out.add_tensor("b", TensorType::kQ4_0, {33}); }),
              HasSubstr("impossible shape"));
  EXPECT_THAT(failure([&] { out.write(bytes_of(std::string(9, 'x'))); }), HasSubstr("8 left"));
  EXPECT_THAT(failure([&] { out.set("late", int64_t{1}); }), HasSubstr("'late'"));
  out.write(bytes_of("1234"));
  EXPECT_THAT(failure([&] { out.finish(); }), HasSubstr("not written to its end"));
  out.write(bytes_of("5678"));
  EXPECT_THAT(failure([&] { out.write(bytes_of("9")); }), HasSubstr("after the last tensor"));
  GgufWriter bad(dir.file("b.gguf"));
  bad.set("general.alignment", int64_t{12});
  EXPECT_THAT(failure([&] { bad.finish(); }), HasSubstr("general.alignment"));
  EXPECT_THAT(failure([&] { GgufWriter(dir.file("no/such/folder.gguf")).finish(); }),
              HasSubstr("cannot be created"));
}

TEST(GgufWriter, LeavesNothingBehindWithoutFinish) {
  test::TempDir dir;
  test::write_file(dir.file("a.gguf"), "what was there before");
  {
    GgufWriter out(dir.file("a.gguf"));
    out.add_tensor("a", TensorType::kF32, {2});
    out.write(bytes_of("1234"));
  }
  EXPECT_EQ(test::read_file(dir.file("a.gguf")), "what was there before");
  EXPECT_EQ(files_in(dir.path()), 1u);
}

// The bundled model in three files.
class SplitModel {
 public:
  SplitModel() : model_(Checkpoint::open(test::bundled_model())) {
    for (uint32_t part = 0; part < 3; ++part) write(part, {part, 3, model_.tensors().size()});
  }
  std::string path(uint32_t part) const {
    return dir_.file("m-0000" + std::to_string(part + 1) + "-of-00003.gguf");
  }
  void write(uint32_t part, const SplitPart& says) {
    GgufWriter out(path(part));
    if (part == 0) {
      for (const auto& [key, value] : model_.metadata().all()) out.set(key, value);
    }
    set_split(out, says);
    const auto tensors = model_.tensors();
    for (size_t i = part; i < tensors.size(); i += 3) {
      out.add_tensor(tensors[i].name, tensors[i].type, tensors[i].shape);
    }
    for (size_t i = part; i < tensors.size(); i += 3) out.write(tensors[i].data);
    out.finish();
  }
  const Checkpoint& model() const { return model_; }
  size_t tensors() const { return model_.tensors().size(); }

 private:
  test::TempDir dir_;
  Checkpoint model_;
};

TEST(SplitGguf, PartsMakeOneModel) {
  SplitModel split;
  const Checkpoint c = Checkpoint::open(split.path(0));
  EXPECT_EQ(c.format(), "GGUF v3 in 3 parts");
  ASSERT_EQ(c.tensors().size(), split.tensors());
  for (const TensorView& want : split.model().tensors()) {
    const TensorView& got = c.require(want.name);
    EXPECT_TRUE(std::equal(got.data.begin(), got.data.end(), want.data.begin(), want.data.end()));
  }
  EXPECT_EQ(c.metadata().require_integer("llama.block_count"), 4);
}

TEST(SplitGguf, PartsMustBeCompleteAndAgree) {
  SplitModel split;
  const auto opened = [&] { Checkpoint::open(split.path(0)); };
  EXPECT_THAT(failure([&] { Checkpoint::open(split.path(1)); }), HasSubstr("part 2 of 3"));
  split.write(1, {2, 3, split.tensors()});
  EXPECT_THAT(failure(opened), HasSubstr("part 2 of 3 by its name, but 3 of 3 by its metadata"));
  split.write(1, {1, 3, split.tensors()});
  split.write(0, {0, 3, 40});
  EXPECT_THAT(failure(opened), HasSubstr("hold 38 tensors, but split.tensors.count is 40"));
  split.write(0, {0, 3, split.tensors()});
  EXPECT_NO_THROW(opened());
  std::filesystem::copy_file(split.path(0), split.path(2),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(failure(opened), HasSubstr("part 3 of 3 by its name, but 1 of 3"));
  std::filesystem::remove(split.path(2));
  EXPECT_THAT(failure(opened), HasSubstr("m-00003-of-00003.gguf: cannot be opened"));
  // A part that lost its name is not a model.
  const std::string renamed = split.path(0) + ".gguf";
  std::filesystem::rename(split.path(0), renamed);
  EXPECT_THAT(failure([&] { Checkpoint::open(renamed); }), HasSubstr("one of 3 parts"));
}

TEST(SplitGguf, NamesThatCannotBe) {
  test::TempDir dir;
  for (const char* name : {"m-00000-of-00003.gguf", "m-00004-of-00003.gguf",
                           "m-00001-of-00000.gguf", "m-00001-of-99999.gguf"}) {
    std::filesystem::copy_file(test::bundled_model(), dir.file(name));
    EXPECT_THAT(failure([&] { Checkpoint::open(dir.file(name)); }), HasSubstr("calls itself part"));
  }
  // One part alone is an ordinary file.
  std::filesystem::copy_file(test::bundled_model(), dir.file("m-00001-of-00001.gguf"));
  EXPECT_EQ(Checkpoint::open(dir.file("m-00001-of-00001.gguf")).format(), "GGUF v3");
}

}  // namespace
}  // namespace fathom::file
