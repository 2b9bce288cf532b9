// Chat templates: parsing and rendering, with the variables that may follow after a null character.
#include <fathom/error.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "fuzz_input.h"
#include "text/chat_template.h"

namespace {

using fathom::text::ChatTemplate;

// Small, so that each input is fast.
constexpr ChatTemplate::Limits kLimits{.output_bytes = 1u << 16, .steps = 20'000, .depth = 50};

ChatTemplate::Json default_variables() {
  return ChatTemplate::Json::parse(R"({
    "messages": [{"role": "user", "content": "Hi <b>é</b>"}, {"role": "assistant", "content": "",
      "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2.5, null, true]}}}]}],
    "tools": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "n": -3, "s": "a,b  c\nd", "l": [3, 1, 2]
  })");
}

ChatTemplate::Json variables_from(std::string_view text) {
  static const ChatTemplate::Json fallback = default_variables();
  ChatTemplate::Json json = ChatTemplate::Json::parse(text, nullptr, false);
  return json.is_object() ? json : fallback;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = fathom::fuzz::text_of(data, size);
  const size_t split = input.find('\0');
  const std::string_view source = input.substr(0, split);
  const std::string_view json =
      split == std::string_view::npos ? std::string_view{} : input.substr(split + 1);
  try {
    const ChatTemplate chat(source, kLimits);
    (void)chat.render(variables_from(json), std::tm{});
  } catch (const fathom::Error&) {
    // The one thing that bad templates may do.
  }
  return 0;
}
