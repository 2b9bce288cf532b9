// Where errors point, what they suggest, and which kind they are.
#include <fathom/error.h>
#include <gtest/gtest.h>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

Error error_of(std::string_view source,
               const ChatTemplate::Json& variables = ChatTemplate::Json::object()) {
  try {
    render(source, variables);
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error from: " << source;
  return {ErrorCode::kInternal, "", ""};
}

TEST(TemplateError, RaiseExceptionIsAUsageErrorInTheTemplatesWords) {
  const Error e = error_of("{{ raise_exception('Roles must alternate!') }}");
  EXPECT_EQ(e.code(), ErrorCode::kUsage);
  EXPECT_STREQ(e.what(), "chat template: Roles must alternate!");
}

TEST(TemplateError, OtherFailuresAreBadFiles) {
  EXPECT_EQ(error_of("{{ 1 / 0 }}").code(), ErrorCode::kBadFile);
  EXPECT_EQ(error_of("{% if %}").code(), ErrorCode::kBadFile);
}

TEST(TemplateError, PointsAtLineAndColumnInCodePoints) {
  EXPECT_EQ(error_of("a\nbé {{ x.y }}").where(), "chat template:2:9");
  EXPECT_EQ(error_of("a\r\nb\r{{ 1 +\n'a' }}").where(), "chat template:3:6");
  EXPECT_EQ(error_of("\n\n{% for x in 5 %}{% endfor %}").where(), "chat template:3:13");
  EXPECT_EQ(error_of("{{ 'é' | nope }}").where(), "chat template:1:10");
  EXPECT_EQ(error_of("{% macro m() %}\n{{ 1 % 0 }}{% endmacro %}\n{{ m() }}").where(),
            "chat template:2:6");
}

TEST(TemplateError, ShowsTheLineWhereItHasNothingBetterToSay) {
  EXPECT_EQ(error_of("first\n   {{ x.y }}  \nlast").hint(), "the line is: {{ x.y }}");
  const std::string hint = error_of("{{ x.y }}" + std::string(200, '-')).hint();
  EXPECT_EQ(hint, "the line is: {{ x.y }}" + std::string(71, '-') + "...");
}

TEST(TemplateError, SuggestsTheNearestName) {
  EXPECT_EQ(error_of("{{ x|uper }}").hint(), "did you mean 'upper'?");
  EXPECT_EQ(error_of("{{ x is strin }}").hint(), "did you mean 'string'?");
  EXPECT_EQ(error_of("{% fro x in y %}").hint(), "did you mean 'for'?");
  EXPECT_EQ(error_of("{{ x|selectatr('a')|list }}").hint(), "did you mean 'selectattr'?");
  EXPECT_EQ(error_of("{{ ['a']|map('loewr')|list }}").hint(), "did you mean 'lower'?");
  EXPECT_EQ(error_of("{{ 'a'.split(maxsplt=1) }}").hint(), "did you mean 'maxsplit'?");
  EXPECT_EQ(error_of("{{ x|zzzzzz }}").hint(), "the line is: {{ x|zzzzzz }}");
  EXPECT_EQ(error_of("{{ 'a' + 1 }}").hint(), "the operator ~ joins values of any type as text");
  EXPECT_EQ(error_of("{{ [1]|map(upper)|list }}").hint(), "the name of a filter stands in quotes");
}

TEST(TemplateError, UnknownFiltersFailInParsingUnlessAConditionGuardsThem) {
  EXPECT_THROW(ChatTemplate("{{ x|nope }}"), Error);
  EXPECT_THROW(ChatTemplate("{% for x in [] %}{{ x is nope }}{% endfor %}"), Error);
  EXPECT_EQ(render("{% if false %}{{ x|nope }}{% endif %}ok"), "ok");
  EXPECT_EQ(render("{{ 1 if true else (2 is nope) }}"), "1");
  EXPECT_EQ(error_of("{% if true %}{{ 1|nope }}{% endif %}").where(), "chat template:1:19");
}

TEST(TemplateError, RefusesWhatIsNotOfferedByName) {
  EXPECT_STREQ(error_of("{{ [1]|random }}").what(),
               "chat template:1:8: the filter 'random' is not offered");
  EXPECT_STREQ(error_of("{% if true %}{{ [1]|random }}{% endif %}").what(),
               "chat template:1:21: 'random' is not offered here");
  EXPECT_STREQ(error_of("{{ 'a'.encode() }}").what(),
               "chat template:1:14: 'encode' is not offered here");
  EXPECT_STREQ(error_of("{{ lipsum() }}").what(), "chat template:1:10: lipsum() is not offered");
  EXPECT_STREQ(error_of("{% include 'x' %}").what(),
               "chat template:1:4: {% include %} is not offered: a chat template stands alone");
  EXPECT_STREQ(error_of("{% autoescape true %}{% endautoescape %}").what(),
               "chat template:1:4: {% autoescape %} is offered with the value false only");
}

TEST(TemplateError, NamesTheTagThatIsOpen) {
  EXPECT_STREQ(error_of("{% if x %}a").what(),
               "chat template:1:12: the template ends inside {% if %}; expected {% elif %}, "
               "{% else %} or {% endif %}");
  EXPECT_STREQ(error_of("{% for x in y %}{% endif %}").what(),
               "chat template:1:20: {% endif %} does not belong here: {% for %} is open and needs "
               "{% else %} or {% endfor %}");
  EXPECT_STREQ(error_of("a{% endif %}").what(),
               "chat template:1:5: {% endif %} does not belong here: no tag is open");
}

TEST(TemplateError, SandboxRefusesChangesAndPrivateNames) {
  for (const char* method : {"append(1)", "pop()", "clear()", "extend([])", "insert(0,1)",
                             "remove(1)", "reverse()", "sort()"}) {
    const std::string name = std::string(method).substr(0, std::string(method).find('('));
    EXPECT_NE(std::string(error_of("{{ [1]." + std::string(method) + " }}").what())
                  .find("access to attribute '" + name + "' of 'list' object is unsafe."),
              std::string::npos);
  }
  for (const char* method : {"clear()", "pop('a')", "popitem()", "setdefault('a')", "update({})"}) {
    EXPECT_NE(std::string(error_of("{{ {}." + std::string(method) + " }}").what())
                  .find("of 'dict' object is unsafe."),
              std::string::npos);
  }
  EXPECT_NE(std::string(error_of("{{ ''.__class__.__mro__ }}").what()).find("unsafe"),
            std::string::npos);
}

TEST(TemplateError, VariablesMustBeAnObjectOfJsonValues) {
  EXPECT_EQ(error_of("x", ChatTemplate::Json::array()).code(), ErrorCode::kUsage);
  EXPECT_STREQ(error_of("{{ x }}", {{"x", 18446744073709551615u}}).what(),
               "chat template:1:1: the integer 18446744073709551615 of the variables does not fit "
               "64 bits");
  EXPECT_THROW(render("{{ x }}", {{"x", ChatTemplate::Json::binary({1, 2})}}), Error);
  // What the template does not name is not looked at.
  EXPECT_EQ(render("a", {{"x", ChatTemplate::Json::binary({1, 2})}}), "a");
}

}  // namespace
}  // namespace fathom::text::test
