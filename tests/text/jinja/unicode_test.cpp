// Text is a sequence of code points, whatever bytes it comes from.
#include <gtest/gtest.h>

#include <string>

#include "text/jinja/cases.h"
#include "text/jinja/unicode.h"

namespace fathom::text::test {
namespace {

using Json = ChatTemplate::Json;

TEST(TemplateUnicode, InvalidBytesAreCodePointsOfTheirOwn) {
  const std::string invalid = "a\xff\xc3(\xe2\x82\xf0\x9f\x98\x80z";  // cut short, and an emoji
  const Json variables = {{"x", invalid}};
  EXPECT_EQ(render("{{ x }}", variables), invalid);
  EXPECT_EQ(render("{{ x|length }}", variables), "8");
  EXPECT_EQ(render("{{ x[1] }}{{ x[-1] }}{{ x[-2] }}", variables), "\xffz\xf0\x9f\x98\x80");
  EXPECT_EQ(render("{{ x[::-1] }}", variables),
            "z\xf0\x9f\x98\x80\x82\xe2(\xc3\xff"
            "a");
  EXPECT_EQ(render("{{ x|list|join }}", variables), invalid);
  EXPECT_EQ(render("{{ x|upper }}", variables), "A\xff\xc3(\xe2\x82\xf0\x9f\x98\x80Z");
  EXPECT_EQ(render("{{ [x[:2]] }}", variables), "['a\\udcff']");
  EXPECT_EQ(render("{{ x|tojson }}", variables), "\"" + invalid + "\"");
}

TEST(TemplateUnicode, InvalidBytesInTheTemplateStay) {
  EXPECT_EQ(render("a\xff{{ '\xfe' }}\xc3"), "a\xff\xfe\xc3");
  EXPECT_THROW(ChatTemplate("{{ \xff }}"), std::exception);
}

TEST(TemplateUnicode, DecodesAsThePlainRulesSay) {
  // Overlong forms, surrogates and what lies beyond the last plane are not valid.
  for (const char* bytes : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                            "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80", "\xc3"}) {
    const std::string text = bytes;
    EXPECT_EQ(jinja::count_code_points(text), text.size());
    EXPECT_EQ(jinja::encode(jinja::decode(text)), text);
  }
  for (const char* valid : {"\xc2\x80", "\xe0\xa0\x80", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(jinja::count_code_points(valid), 1u);
    EXPECT_EQ(jinja::encode(jinja::decode(valid)), valid);
  }
}

TEST(TemplateUnicode, NamesMayBeInAnyScript) {
  EXPECT_EQ(render("{% set größe = 1 %}{% set 名前 = 2 %}{{ größe + 名前 }}"), "3");
  EXPECT_EQ(render("{{ d.schlüssel }}", {{"d", {{"schlüssel", "ja"}}}}), "ja");
}

}  // namespace
}  // namespace fathom::text::test
