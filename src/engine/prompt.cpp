#include "engine/prompt.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace fathom::engine {
namespace {

using Json = text::ChatTemplate::Json;

std::string token_text(const Engine& engine, std::optional<text::TokenId> id) {
  return id ? engine.tokenizer().data().tokens[static_cast<size_t>(*id)] : "";
}

std::string_view stripped(std::string_view s) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const size_t first = s.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(kSpace) - first + 1);
}

// Where the messages' contents stand in the rendered text, in order, as far as they can be found.
std::vector<text::TextRange> content_ranges(std::string_view rendered,
                                            std::span<const Message> messages) {
  std::vector<text::TextRange> ranges;
  size_t from = 0;
  for (const Message& m : messages) {
    const std::string_view content = stripped(m.content);
    const size_t at = content.empty() ? std::string_view::npos : rendered.find(content, from);
    if (at == std::string_view::npos) continue;
    ranges.push_back({at, at + content.size()});
    from = at + content.size();
  }
  return ranges;
}

// A character that none of the messages has; of those that Unicode gives no meaning.
std::string unused_character(std::span<const Message> messages) {
  for (uint32_t code = 0x10fffd; code > 0x100000; --code) {
    const std::string c = text::to_utf8(code);
    const auto has = [&](const Message& m) { return m.content.find(c) != std::string::npos; };
    if (std::none_of(messages.begin(), messages.end(), has)) return c;
  }
  return {};
}

// Puts the mark before every control token that contents spell. False where they spell none.
bool mark_control_tokens(const text::Tokenizer& tokenizer, const std::string& mark,
                         std::vector<Message>& messages) {
  bool any = false;
  for (Message& m : messages) {
    const std::vector<text::TextRange> spelled = tokenizer.control_tokens(m.content);
    any |= !spelled.empty();
    std::string marked;
    size_t done = 0;
    for (const text::TextRange& range : spelled) {
      marked += m.content.substr(done, range.begin - done) + mark;
      done = range.begin;
    }
    m.content = marked + m.content.substr(done);
  }
  return any;
}

// Parts of the rendered text whose control tokens the messages spelled. The template is rendered
// again with marks in the contents, which show where it put them, whatever else it did to them.
// Where it looks at contents so closely that marks change more, contents are looked for instead.
std::vector<text::TextRange> spelled_ranges(const Engine& engine, const std::string& rendered,
                                            std::span<const Message> messages) {
  const text::Tokenizer& tokenizer = engine.tokenizer();
  const std::string mark = unused_character(messages);
  std::vector<Message> marked(messages.begin(), messages.end());
  if (!mark_control_tokens(tokenizer, mark, marked)) return {};
  std::string text;
  std::vector<text::TextRange> ranges;
  const std::string again = mark.empty() ? "" : render(engine, marked);
  for (size_t at = 0; at < again.size();) {
    const size_t next = std::min(again.find(mark, at), again.size());
    text += again.substr(at, next - at);
    if (next < again.size()) ranges.push_back({text.size(), text.size() + 1});
    at = next + mark.size();
  }
  return text == rendered ? ranges : content_ranges(rendered, messages);
}

bool passes_system_through(const Engine& engine) {
  constexpr const char* kProbe = "A text that stands by itself.";
  const Message probe[] = {{"system", kProbe}, {"user", "q"}};
  try {
    const std::string rendered = render(engine, probe);
    const std::string bos = token_text(engine, engine.tokenizer().data().bos);
    return rendered.rfind(kProbe, 0) == 0 || rendered.rfind(bos + kProbe, 0) == 0;
  } catch (const Error&) {
    return false;  // a template without system messages
  }
}

}  // namespace

std::string render(const Engine& engine, std::span<const Message> messages) {
  if (!engine.chat_template()) {
    throw with_hint(unsupported(engine.checkpoint().path(), "the model has no chat template"),
                    "use --raw to continue plain text");
  }
  Json variables = {{"messages", Json::array()}, {"add_generation_prompt", true}};
  for (const Message& m : messages) {
    variables["messages"].push_back({{"role", m.role}, {"content", m.content}});
  }
  variables["bos_token"] = token_text(engine, engine.tokenizer().data().bos);
  variables["eos_token"] = token_text(engine, engine.tokenizer().data().eos);
  return engine.chat_template()->render(variables);
}

std::vector<TokenId> encode_rendered(const Engine& engine, const std::string& rendered, size_t from,
                                     std::span<const Message> messages) {
  std::vector<text::TextRange> plain;
  for (const text::TextRange& range : spelled_ranges(engine, rendered, messages)) {
    if (range.end > from) plain.push_back({std::max(range.begin, from) - from, range.end - from});
  }
  text::EncodeOptions options;
  options.special = text::SpecialTokens::kParse;
  options.plain_ranges = plain;
  const std::string bos = token_text(engine, engine.tokenizer().data().bos);
  const bool has_bos = !bos.empty() && rendered.substr(0, bos.size()) == bos;
  if (from > 0 || has_bos) options.add = text::AddSpecial::kNever;
  return engine.tokenizer().encode(std::string_view(rendered).substr(from), options);
}

std::vector<TokenId> encode_conversation(const Engine& engine, std::span<const Message> messages) {
  return encode_rendered(engine, render(engine, messages), 0, messages);
}

std::vector<Message> question_messages(const Engine& engine, const std::string& document,
                                       const std::string& question) {
  if (document.empty()) return {{"user", question}};
  if (passes_system_through(engine)) return {{"system", document}, {"user", question}};
  return {{"user", document + "\n\n" + question}};
}

size_t common_prefix(std::span<const std::vector<TokenId>> prompts) {
  if (prompts.empty()) return 0;
  size_t n = prompts[0].size();
  for (const std::vector<TokenId>& p : prompts) {
    const auto [a, b] = std::mismatch(p.begin(), p.end(), prompts[0].begin(), prompts[0].end());
    n = std::min<size_t>(n, static_cast<size_t>(a - p.begin()));
    n = std::min(n, p.size() - std::min<size_t>(1, p.size()));
  }
  return n;
}

size_t shared_prefix(const Engine& engine, std::span<const std::vector<TokenId>> prompts) {
  return engine.runner().policy().filter ? 0 : common_prefix(prompts);
}

}  // namespace fathom::engine
