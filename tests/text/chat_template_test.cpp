#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>
#include <utility>
#include <vector>

#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

using Json = ChatTemplate::Json;

TEST(ChatTemplate, RendersAConversation) {
  const ChatTemplate chat(
      "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}\n");
  const Json variables = {
      {"messages", {{{"role", "user"}, {"content", " hi "}}, {{"role", "x"}, {"content", "y"}}}},
      {"add_generation_prompt", true}};
  EXPECT_EQ(chat.render(variables), "<user>hi\n<x>y\n<assistant>");
}

TEST(ChatTemplate, KeepsTheOrderOfKeys) {
  EXPECT_EQ(render("{{ d|tojson }}{{ d }}", {{"d", {{"z", 1}, {"a", 2}}}}),
            R"({"z": 1, "a": 2}{'z': 1, 'a': 2})");
}

TEST(ChatTemplate, TakesValuesOfEveryJsonType) {
  const Json x = {nullptr, true, -5, 18446744073709551615u / 2, 1.5, "t", {1}, {{"k", "v"}}};
  EXPECT_EQ(render("{{ x }}", {{"x", x}}),
            "[None, True, -5, 9223372036854775807, 1.5, 't', [1], {'k': 'v'}]");
}

TEST(ChatTemplate, VariablesHideGlobals) {
  EXPECT_EQ(render("{{ range }}{{ strftime_now is string }}", {{"range", 5}, {"strftime_now", ""}}),
            "5True");
}

TEST(ChatTemplate, RendersSeveralTimesWithoutMemory) {
  const ChatTemplate t("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + x %}{{ ns.n }}");
  EXPECT_EQ(t.render({{"x", 1}}), "1");
  EXPECT_EQ(t.render({{"x", 2}}), "2");
}

TEST(ChatTemplate, MayBeMoved) {
  ChatTemplate a("{{ 'x' * 3 }}");
  const ChatTemplate b = std::move(a);
  EXPECT_EQ(b.render(Json::object()), "xxx");
}

TEST(ChatTemplate, RendersFromManyThreads) {
  const ChatTemplate t(
      "{% set text = 'Schlüssel' %}{% for i in range(200) %}{{ text[i % 9] ~ text|length ~ x }}"
      "{% endfor %}");
  const std::string expected = t.render({{"x", 1}});
  std::vector<std::string> results(8);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] { result = t.render({{"x", 1}}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, expected);
}

TEST(ChatTemplate, FormatsTheGivenTime) {
  std::tm noon{};
  noon.tm_year = 124;
  noon.tm_mon = 6;
  noon.tm_mday = 26;
  noon.tm_hour = 12;
  const ChatTemplate t("{{ strftime_now('%d %b %Y, %A, day %j, %I %p') }}");
  EXPECT_EQ(t.render(Json::object(), noon), "26 Jul 2024, Friday, day 208, 12 PM");
}

TEST(ChatTemplate, FormatsThePresentWithoutOne) {
  const std::time_t before = std::time(nullptr);
  const ChatTemplate t("{{ strftime_now('%Y') }}");
  const int year = std::stoi(t.render(Json::object()));
  EXPECT_GE(year, std::localtime(&before)->tm_year + 1900);
}

// Objects print without the addresses that Python would show.
TEST(ChatTemplate, PrintsObjectsByKind) {
  EXPECT_EQ(render("{{ range }} {{ 'a'.upper }} {{ [1]|map('int') }} {{ cycler(1) }}"),
            "<function range> <built-in method upper of str object> <generator object> "
            "<jinja2.utils.Cycler object>");
}

}  // namespace
}  // namespace fathom::text::test
