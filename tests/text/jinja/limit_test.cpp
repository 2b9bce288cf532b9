// Hostile templates end with an error, in bounded time, memory and stack.
#include <fathom/error.h>
#include <gtest/gtest.h>

#include <string>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

using Limits = ChatTemplate::Limits;

std::string repeated(const std::string& text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

// The error's text without its place; the output where there is no error.
std::string outcome(const std::string& source, const Limits& limits = {}) {
  try {
    return ChatTemplate(source, limits).render(ChatTemplate::Json::object());
  } catch (const Error& e) {
    return std::string(e.what()).substr(e.where().size() + 2);
  }
}

TEST(TemplateLimit, Output) {
  const Limits limits{.output_bytes = 10};
  EXPECT_EQ(outcome("1234567890", limits), "1234567890");
  EXPECT_EQ(outcome("12345678901", limits), "the output grows beyond the 10 bytes allowed");
  EXPECT_EQ(outcome("{% for i in range(4) %}abc{% endfor %}", limits),
            "the output grows beyond the 10 bytes allowed");
  // What is captured counts while it is being captured.
  EXPECT_EQ(outcome("{% set x %}12345678901{% endset %}", limits),
            "the output grows beyond the 10 bytes allowed");
  EXPECT_EQ(outcome("{% set x %}123456{% endset %}{% set y %}123456{% endset %}ok", limits), "ok");
}

TEST(TemplateLimit, IntermediateTexts) {
  const Limits limits{.output_bytes = 100};
  const std::string message = "a text grows beyond the 100 bytes allowed";
  for (const char* expression : {"'a' * 101",
                                 "1000000000000 * 'ab'",
                                 "'ab' * 9223372036854775807",
                                 "'x'.center(101)",
                                 "'x'.ljust(10**18)",
                                 "'x'.zfill(10**18)",
                                 "'x'|center(10**15)",
                                 "'x'|indent(10**15)",
                                 "'\\t'.expandtabs(10**15)",
                                 "'%1000d' % 5",
                                 "'%.1000f' % 5",
                                 "'%*d' % (1000, 5)",
                                 "'{:1000}'.format(5)",
                                 "'{:.1000f}'.format(1.5)",
                                 "'{:01000,}'.format(5)",
                                 "[1]|tojson(indent=10**15)",
                                 "('a' * 60) ~ ('a' * 60)",
                                 "('a' * 60) + ('a' * 60)",
                                 "('a' * 60)|replace('a', 'aa')",
                                 "('a' * 20).join(['b'] * 20)",
                                 "['a' * 60, 'a' * 60]|join",
                                 "('&' * 60)|e",
                                 "('\\x01' * 60)|tojson",
                                 "['\\x01' * 60]|string"}) {
    SCOPED_TRACE(expression);
    EXPECT_EQ(outcome("{{ (" + std::string(expression) + ")|length }}", limits), message);
  }
}

TEST(TemplateLimit, Values) {
  Limits limits{.output_bytes = 1 << 20};
  const std::string message = "the template's values need more than the 4194304 bytes allowed";
  EXPECT_EQ(outcome("{{ ('a' * 10**6)|list|length }}", limits), message);
  EXPECT_EQ(outcome("{{ ('a ' * 500000).split()|length }}", limits), message);
  EXPECT_EQ(outcome("{{ ([1] * 10**6)|length }}", limits), message);
  EXPECT_EQ(outcome("{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l "
                    "%}{% endfor %}",
                    limits),
            message);
  EXPECT_EQ(outcome("{% set n = namespace(l=[]) %}{% for i in range(99) %}{% set n.l = n.l + "
                    "['a' * 10**5] %}{% endfor %}",
                    limits),
            message);
  // What is let go of is given back.
  EXPECT_EQ(outcome("{% for i in range(99) %}{% set x = 'a' * 10**6 %}{% endfor %}ok", limits),
            "ok");
  EXPECT_EQ(outcome("{{ [0] * 10**15 }}"), "a list of 1000000000000000 times 1 values is too long");
  EXPECT_EQ(outcome("{{ range(10**12) }}"),
            "a range of 1000000000000 numbers is too long; at most 100000 are allowed");
}

TEST(TemplateLimit, Steps) {
  const std::string message = "the template takes more than the 10000000 steps allowed";
  EXPECT_EQ(outcome("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}"
                    "{% endfor %}"),
            message);
  // A list of lists whose parts are shared has 2^100 ways through it.
  const std::string shared =
      "{% set n = namespace(a=(1, 1), b=(1, 1)) %}{% for i in range(100) %}"
      "{% set n.a = (n.a, n.a) %}{% set n.b = (n.b, n.b) %}{% endfor %}";
  for (const char* use : {"n.a == n.b", "n.a < n.b", "n.a|string|length", "n.a|tojson|length",
                          "{n.a: 1, n.b: 2}|length", "n.a in [n.b]", "[n.a, n.b]|sort|length"}) {
    SCOPED_TRACE(use);
    EXPECT_EQ(outcome(shared + "{{ " + use + " }}"), message);
  }
  // Work on long texts counts.
  EXPECT_EQ(outcome("{% set s = 'é' * 10**7 %}{% for i in range(100000) %}{% if s[-1] == 'x' %}"
                    "{% endif %}{% endfor %}",
                    {.steps = 1'000'000}),
            "the template takes more than the 1000000 steps allowed");
  EXPECT_EQ(outcome("{{ 1 }}{{ 2 }}{{ 3 }}", {.steps = 4}),
            "the template takes more than the 4 steps allowed");
}

TEST(TemplateLimit, NestingOfTheText) {
  const std::string message = "blocks and expressions nest more than 200 deep";
  for (const auto& [open, close] : {std::pair{"(", ")"},
                                    {"[", "]"},
                                    {"{1:", "}"},
                                    {"-", ""},
                                    {"not ", ""},
                                    {"1 if 1 else ", ""},
                                    {"x(", ")"},
                                    {"x[", "]"}}) {
    SCOPED_TRACE(open);
    const std::string source = "{{ " + repeated(open, 300) + "1" + repeated(close, 300) + " }}";
    EXPECT_EQ(outcome(source), message);
  }
  const std::string blocks = repeated("{% if 1 %}", 300) + "x" + repeated("{% endif %}", 300);
  EXPECT_EQ(outcome(blocks), message);
  EXPECT_EQ(outcome(repeated("{% if 1 %}", 150) + "x" + repeated("{% endif %}", 150)), "x");
  EXPECT_EQ(outcome("{{ x" + repeated(".a", 1000) + " }}"),
            "an expression is more than 800 operations deep");
  EXPECT_EQ(outcome("{{ 1" + repeated(" + 1", 100000) + " }}"), "100001");
  EXPECT_EQ(outcome("{% if 0 %}" + repeated("{% elif 0 %}", 10000) + "{% endif %}ok"), "ok");
}

TEST(TemplateLimit, NestingOfCalls) {
  const std::string message = "blocks, calls and expressions nest too deeply; the limit is 200";
  EXPECT_EQ(outcome("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), message);
  EXPECT_EQ(outcome("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), message);
  EXPECT_EQ(outcome("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}x{% endmacro %}"
                    "{{ f(100)|length }}"),
            "101");
  // The deepest that is allowed at all still fits a thread's stack, under sanitizers, too.
  const std::string deep = repeated("[", 150) + "f()" + repeated("]", 150);
  EXPECT_EQ(outcome("{% macro f() %}{{ " + deep + " }}{% endmacro %}{{ f() }}", {.depth = 100000}),
            "blocks, calls and expressions nest too deeply; the limit is 400");
}

TEST(TemplateLimit, NestingOfValues) {
  const std::string message = "values nest more than 200 deep";
  for (const char* value : {"[n.x]", "(n.x,)", "{1: n.x}", "n.x|map('string')", "n.x|batch(2)",
                            "joiner(n.x)", "cycler(n.x)"}) {
    SCOPED_TRACE(value);
    EXPECT_EQ(outcome("{% set n = namespace(x=[]) %}{% for i in range(1000) %}{% set n.x = " +
                      std::string(value) + " %}{% endfor %}"),
              message);
  }
  std::string json = repeated("[", 300) + repeated("]", 300);
  EXPECT_THROW(render("{{ x }}", {{"x", ChatTemplate::Json::parse(json)}}), Error);
  json = repeated("[", 100000) + repeated("]", 100000);
  EXPECT_THROW(render("{{ x }}", {{"x", ChatTemplate::Json::parse(json)}}), Error);
}

TEST(TemplateLimit, ChainsAndCyclesOfNamespacesEndWithTheRender) {
  const std::string chain =
      "{% set n = namespace() %}{% for i in range(100000) %}{% set n.x = namespace(y=n.x) %}"
      "{% endfor %}";
  EXPECT_EQ(outcome(chain + "ok"), "ok");
  EXPECT_EQ(outcome(chain + "{% set n.x = none %}ok"), "ok");
  EXPECT_EQ(outcome(chain + "{{ n }}"),
            "blocks, calls and expressions nest too deeply; the limit is 200");
  EXPECT_EQ(outcome("{% set n = namespace() %}{% set n.a = [1, n] %}{{ n }}{{ n.a }}"),
            "<Namespace {'a': [1, <Namespace {...}>]}>[1, <Namespace {'a': [...]}>]");
  EXPECT_EQ(outcome("{% set n = namespace() %}{% macro m() %}{% endmacro %}{% set n.m = m %}"
                    "{% for i in [1] recursive %}{% set n.l = loop %}{{ loop.changed(n, loop) }}"
                    "{% endfor %}"),
            "True");
}

TEST(TemplateLimit, IteratorsThatReadThemselves) {
  const std::string message = "generator already executing";
  EXPECT_EQ(outcome("{% set n = namespace() %}{% set n.g = [n]|map(attribute='g')|map('list') %}"
                    "{{ n.g|list }}"),
            message);
  for (const char* property : {"length", "last", "nextitem"}) {
    EXPECT_EQ(outcome("{% set n = namespace() %}{% for x in [1, 2] if n.l is undefined or n.l." +
                      std::string(property) + " %}{% set n.l = loop %}{% endfor %}"),
              message);
  }
}

TEST(TemplateLimit, Integers) {
  const std::string message = "the result of integer arithmetic does not fit 64 bits";
  for (const char* expression :
       {"9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2", "2 ** 63",
        "(-9223372036854775807 - 1) // -1", "-(-9223372036854775807 - 1)",
        "(-9223372036854775807 - 1)|abs", "[9223372036854775807, 1]|sum"}) {
    SCOPED_TRACE(expression);
    EXPECT_EQ(outcome("{{ " + std::string(expression) + " }}"), message);
  }
  EXPECT_EQ(outcome("{{ 9223372036854775808 }}"),
            "the integer 9223372036854775808 does not fit 64 bits");
  EXPECT_EQ(outcome("{{ '9223372036854775808'|int }}"), "an integer does not fit 64 bits");
  EXPECT_EQ(outcome("{{ 1e30|int }}"), "1e+30 does not fit 64 bits");
  EXPECT_EQ(outcome("{{ (-9223372036854775807 - 1) % -1 }} {{ 2 ** 62 }}"),
            "0 4611686018427387904");
  EXPECT_EQ(outcome("{{ 'abc'[::-9223372036854775807 - 1] }}"), "c");
  EXPECT_EQ(outcome("{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775807)|list "
                    "}}"),
            "[-9223372036854775807, 0]");
}

TEST(TemplateLimit, SizeOfTheTemplate) {
  EXPECT_EQ(outcome(std::string((16u << 20) + 1, 'x')),
            "16777217 bytes long, which is more than the 16777216 allowed");
}

}  // namespace
}  // namespace fathom::text::test
