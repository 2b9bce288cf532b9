#include "engine/prompt.h"

#include <algorithm>

#include "base/error.h"

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

// Where the messages' contents stand in the rendered text, in order.
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

std::vector<TokenId> encode_rendered(const Engine& engine, std::string_view rendered, size_t from,
                                     std::span<const Message> messages) {
  std::vector<text::TextRange> plain;
  for (const text::TextRange& range : content_ranges(rendered, messages)) {
    if (range.end > from) plain.push_back({std::max(range.begin, from) - from, range.end - from});
  }
  text::EncodeOptions options;
  options.special = text::SpecialTokens::kParse;
  options.plain_ranges = plain;
  const std::string bos = token_text(engine, engine.tokenizer().data().bos);
  const bool has_bos = !bos.empty() && rendered.substr(0, bos.size()) == bos;
  if (from > 0 || has_bos) options.add = text::AddSpecial::kNever;
  return engine.tokenizer().encode(rendered.substr(from), options);
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
