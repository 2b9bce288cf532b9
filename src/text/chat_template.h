// Chat templates: the Jinja language as model files use it, rendered exactly as Jinja2 would.
//
// A template is untrusted: it cannot reach anything but the variables it is given, and parsing and
// rendering are bounded in recursion, loop steps and output size. Immutable after parsing; render()
// may be called from any thread. Errors are fathom::Error with line and column of the template.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::text {

class ChatTemplate {
 public:
  // Keys keep their order, as Python's dicts do: tojson and items() show it.
  using Json = nlohmann::ordered_json;

  struct Limits {
    size_t output_bytes = 64u << 20;
    size_t steps = 10'000'000;  // statements and expressions evaluated
    int depth = 200;            // nested blocks, calls and expressions
  };

  // Parses with trim_blocks and lstrip_blocks on, as chat clients do. Throws Error(kBadFile).
  explicit ChatTemplate(std::string_view source);
  ChatTemplate(std::string_view source, const Limits& limits);
  ChatTemplate(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, ... `now` is what
  // strftime_now formats; the present local time where it is not given. Throws Error(kUsage) with
  // the template's own words for raise_exception, Error(kBadFile) for other failures.
  std::string render(const Json& variables, std::optional<std::tm> now = std::nullopt) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::text
