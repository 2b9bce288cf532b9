#include "file/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom::file {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kSource = "some.json";

std::string refusal(const std::string& text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, kSource, limits);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadFile);
    EXPECT_THAT(e.what(), StartsWith("some.json: "));
    return e.what();
  }
  ADD_FAILURE() << text << " was read";
  return "";
}

TEST(JsonText, ReadsWhatTheLibraryReads) {
  const std::string text =
      R"( {"a": [1, -2, 3.5, true, false, null, "\u00e9\n", {}, []], "": {"b": {"c": 18446744073709551615}}} )";
  EXPECT_EQ(parse_json(text, kSource), Json::parse(text));
  EXPECT_EQ(parse_json("7", kSource), Json(7));
}

TEST(JsonText, RefusesWhatIsNotJson) {
  for (const std::string text :
       {"", " ", "{", "[1,]", "{\"a\" 1}", "nul", "\"a", "[1] 2", "{'a':1}", "[NaN]", "\"\xff\"",
        "\"\xc0\xaf\"", "\"\\ud800\"", "[1e999]x"}) {
    EXPECT_THAT(refusal(text), HasSubstr("not valid JSON at byte")) << text;
  }
}

TEST(JsonText, IsBounded) {
  // A bomb for a reader that recurses.
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("deeper than 32"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("deeper than 32"));
  EXPECT_NO_THROW(parse_json("[[[]]]", kSource, {.depth = 3}));
  EXPECT_THAT(refusal("[[[[]]]]", {.depth = 3}), HasSubstr("deeper than 3"));
  EXPECT_NO_THROW(parse_json("[1,2,3]", kSource, {.values = 4}));
  EXPECT_THAT(refusal("[1,2,3,4]", {.values = 4}), HasSubstr("more than 4 JSON values"));
  EXPECT_THAT(refusal("[1,2,3,4]", {.bytes = 8}), HasSubstr("9 bytes of JSON; at most 8"));
}

TEST(JsonText, RefusesDuplicateKeys) {
  EXPECT_THAT(refusal(R"({"a": 1, "b": {"a": 2, "a": 3}})"), HasSubstr("the key 'a' twice"));
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}, "b": {"a": 1}})", kSource));
}

TEST(JsonView, ReadsMembersByType) {
  const Json json = Json::parse(
      R"({"n": 3, "x": 0.5, "t": "word", "f": true, "o": {"p": [10, "q"]}, "z": null})");
  const JsonView view(json, kSource);
  EXPECT_EQ(view.integer("n"), 3);
  EXPECT_EQ(view.number("n"), 3.0);
  EXPECT_EQ(view.number("x"), 0.5);
  EXPECT_EQ(view.text("t"), "word");
  EXPECT_EQ(view.flag("f"), true);
  EXPECT_EQ(view.integer("z"), std::nullopt);
  EXPECT_EQ(view.text("not there"), std::nullopt);
  EXPECT_EQ(view.require("o").require("p").element(0).as_integer(), 10);
}

TEST(JsonView, ErrorsNameFileAndPath) {
  const Json json = Json::parse(R"({"o": {"p": [10, "q"]}, "big": 9223372036854775808, "x": 0.5})");
  const JsonView view(json, kSource);
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(message([&] { view.require("o").require("p").element(1).as_integer(); }),
              AllOf(StartsWith("some.json: "), HasSubstr("'o.p[1]' is a string, not an integer")));
  EXPECT_THAT(message([&] { view.require("o").require_text("r"); }), HasSubstr("'o.r' is missing"));
  EXPECT_THAT(message([&] { view.integer("big"); }), HasSubstr("beyond 63 bits"));
  EXPECT_THAT(message([&] { view.integer("x"); }), HasSubstr("'x' is a number, not an integer"));
  EXPECT_THAT(message([&] { view.text("o"); }), HasSubstr("'o' is an object, not a string"));
  EXPECT_THAT(message([&] { view.element(0); }), HasSubstr("the file is an object, not an array"));
  EXPECT_THAT(message([&] { JsonView(json["x"], kSource).find("a"); }), HasSubstr("not an object"));
}

}  // namespace
}  // namespace fathom::file
