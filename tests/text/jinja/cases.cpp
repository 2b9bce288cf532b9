#include "text/jinja/cases.h"

#include <fathom/error.h>
#include <gtest/gtest.h>

#include <ctime>

namespace fathom::text::test {
namespace {

std::tm sample_time() {
  std::tm time{};
  time.tm_year = 2024 - 1900;
  time.tm_mon = 6;
  time.tm_mday = 26;
  time.tm_hour = 12;
  return time;
}

// What rendering throws; kInternal and no text where it throws nothing.
struct Thrown {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;
};
Thrown thrown_by(std::string_view source, const ChatTemplate::Json& variables) {
  try {
    return {ErrorCode::kInternal, "no error, but the text: " + render(source, variables)};
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
}

}  // namespace

const ChatTemplate::Json& sample_variables() {
  static const ChatTemplate::Json variables = ChatTemplate::Json::parse(R"({
    "s": "Hello, Wörld! it's <b>bold</b> & \"q\"",
    "l": [3, 1, 2],
    "d": {"b": 1, "a": 2, "c": null, "items": "x"},
    "n": null, "t": true, "f": 1.5, "i": 7, "e": "",
    "u": [
      {"name": "Bob", "age": 30, "addr": {"city": "Oslo"}},
      {"name": "alice", "age": 25, "addr": {"city": "rome"}},
      {"name": "Carl", "age": 30, "addr": {"city": "Rome"}}
    ],
    "mixed": ["a", 1, 2.5, null, true, [1], {"k": "v"}],
    "text": "line one\nline two\n\n  indented\nlast",
    "uni": "ÀÉß ﬁ İstanbul ΑΣ Σ",
    "messages": [
      {"role": "user", "content": "hi"},
      {"role": "assistant", "content": "yo", "tool_calls": [{"id": "1"}]},
      {"role": "tool", "content": "r"}
    ]
  })");
  return variables;
}

std::string render(std::string_view source, const ChatTemplate::Json& variables) {
  return ChatTemplate(source).render(variables, sample_time());
}

void expect_renders(std::span<const Case> cases, const ChatTemplate::Json& variables) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.source);
    try {
      EXPECT_EQ(render(c.source, variables), c.expected);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

void expect_fails(std::span<const BadCase> cases, const ChatTemplate::Json& variables) {
  for (const BadCase& c : cases) {
    SCOPED_TRACE(c.source);
    const Thrown thrown = thrown_by(c.source, variables);
    EXPECT_EQ(thrown.what, c.message);
    EXPECT_EQ(thrown.code, ErrorCode::kBadFile);
  }
}

}  // namespace fathom::text::test
