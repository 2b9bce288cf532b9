// Macros: functions that a template defines.
#include <algorithm>

#include "text/jinja/interpreter.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

class Macro final : public Object {
 public:
  // REQUIRES: the frame is pinned.
  Macro(Interpreter& interpreter, const MacroBody& body, Frame* frame)
      : Object(1), interpreter_(interpreter), body_(body), frame_(frame) {}

  std::string_view type_name() const override { return "Macro"; }
  std::string_view full_type_name() const override { return "jinja2.runtime.Macro"; }
  bool is_callable() const override { return true; }

  void write_repr(Runtime&, TextBuilder& out) const override {
    out.append(body_.name.empty() ? "<Macro anonymous>"
                                  : fmt::format("<Macro {}>", in_quotes(body_.name)));
  }

  std::optional<Value> attribute(Runtime& run, std::string_view name) override {
    if (name == "name") return body_.name.empty() ? Value() : run.text(body_.name);
    if (name == "catch_kwargs") return body_.kwargs_slot.has_value();
    if (name == "catch_varargs") return body_.varargs_slot.has_value();
    if (name == "caller") return body_.caller_slot.has_value();
    if (name != "arguments") return std::nullopt;
    std::vector<Value> names;
    for (const Parameter& p : body_.parameters) names.push_back(run.text(p.name));
    return run.tuple(std::move(names));
  }

  Value call(Runtime&, Arguments arguments) override {
    return interpreter_.call_macro(body_, *frame_, std::move(arguments));
  }

 private:
  Interpreter& interpreter_;
  const MacroBody& body_;
  Frame* frame_;
};

// Takes a named argument out of the call's.
std::optional<Value> take_named(Arguments& arguments, std::string_view name) {
  std::optional<Value> value;
  const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [&](const auto& argument) { return argument.first == name; });
  if (found == arguments.named.end()) return value;
  value.emplace(found->second);
  arguments.named.erase(found);
  return value;
}

std::string shown_name(const MacroBody& macro) {
  return macro.name.empty() ? "None" : in_quotes(macro.name);
}

}  // namespace

Value Interpreter::make_macro(const MacroBody& macro) {
  return make<Macro>(*this, macro, pin(frame_));
}

Value Interpreter::call_macro(const MacroBody& macro, Frame& outer, Arguments arguments) {
  const std::shared_ptr<Frame> frame = enter(macro.frame, outer.shared_from_this());
  bind_parameters(macro, *frame, std::move(arguments));
  const Within within(*this, frame);
  set_fallbacks(macro, *frame);
  const size_t start = output_.size();
  run(macro.body);
  return text(take_output(start));
}

void Interpreter::bind_parameters(const MacroBody& macro, Frame& frame, Arguments arguments) {
  const size_t count = macro.parameters.size();
  std::vector<Value>& positional = arguments.positional;
  const size_t taken = std::min(positional.size(), count);
  bool caller_is_parameter = false;
  for (size_t i = 0; i < count; ++i) {
    frame.slots[i] =
        i < taken ? std::optional(positional[i]) : take_named(arguments, macro.parameters[i].name);
    caller_is_parameter = caller_is_parameter || macro.parameters[i].name == "caller";
  }
  if (macro.caller_slot && !caller_is_parameter) {
    std::optional<Value> caller = take_named(arguments, "caller");
    const bool none = !caller || caller->is_none();
    frame.slots[*macro.caller_slot] = none ? undefined("No caller defined") : *caller;
  }
  if (macro.kwargs_slot) {
    std::vector<Dict::Entry> entries;
    for (auto& [name, value] : arguments.named) entries.emplace_back(text(name), std::move(value));
    frame.slots[*macro.kwargs_slot] = dict(std::move(entries));
  } else if (!arguments.named.empty()) {
    throw failure("macro {} takes no keyword argument '{}'", shown_name(macro),
                  arguments.named.front().first);
  }
  if (macro.varargs_slot) {
    positional.erase(positional.begin(), positional.begin() + static_cast<int64_t>(taken));
    frame.slots[*macro.varargs_slot] = tuple(std::move(positional));
  } else if (positional.size() > count) {
    throw failure("macro {} takes not more than {} argument(s)", shown_name(macro), count);
  }
}

void Interpreter::set_fallbacks(const MacroBody& macro, Frame& frame) {
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    if (frame.slots[i]) continue;
    const Parameter& parameter = macro.parameters[i];
    frame.slots[i] =
        parameter.fallback
            ? evaluate(*parameter.fallback)
            : undefined(fmt::format("parameter '{}' was not provided", parameter.name));
  }
}

}  // namespace fathom::text::jinja
