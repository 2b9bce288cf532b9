#include "text/chat_template.h"

#include <algorithm>
#include <ctime>

#include "text/jinja/interpreter.h"
#include "text/jinja/linker.h"
#include "text/jinja/parser.h"

namespace fathom::text {
namespace {

// Parsing and linking recurse as deep as the template nests: deeper limits would let a template use
// up a thread's stack.
constexpr int kDeepestNesting = 400;

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

}  // namespace

struct ChatTemplate::Impl {
  Impl(std::string_view text, const Limits& l) : limits(l), source(text) {
    limits.depth = std::clamp(l.depth, 1, kDeepestNesting);
    tree = jinja::Parser(source, limits.depth).parse();
    jinja::link(tree, source);
  }

  Limits limits;
  jinja::Source source;
  jinja::Template tree;
};

ChatTemplate::ChatTemplate(std::string_view source) : ChatTemplate(source, Limits{}) {}
ChatTemplate::ChatTemplate(std::string_view source, const Limits& limits)
    : impl_(std::make_unique<Impl>(source, limits)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const Json& variables, std::optional<std::tm> now) const {
  if (!variables.is_object()) {
    throw usage_error("chat template", "the variables must be a JSON object, not {}",
                      variables.type_name());
  }
  const std::tm time = now ? *now : local_time();
  jinja::Interpreter interpreter(impl_->tree, impl_->limits, {variables, time});
  try {
    return interpreter.render();
  } catch (const jinja::Raised& raised) {
    throw usage_error("chat template", "{}", raised.message);
  } catch (const jinja::Failure& failed) {
    throw impl_->source.error(interpreter.position(), failed.message, failed.hint);
  }
}

}  // namespace fathom::text
