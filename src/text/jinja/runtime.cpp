#include "text/jinja/runtime.h"

#include <algorithm>

#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace fathom::text::jinja {
namespace {

// Values may need this many times the output's limit: intermediate texts come and go.
constexpr size_t kHeapFactor = 4;
constexpr size_t kLeastHeap = 1u << 20;
// One level that the author wrote is several evaluations inside one another; see Limits::depth.
constexpr int kEvaluationsPerLevel = 8;
constexpr size_t kShownName = 100;

size_t heap_limit(size_t output_bytes) {
  const size_t limit = output_bytes * kHeapFactor;
  const bool overflows = limit / kHeapFactor != output_bytes;
  return overflows ? ~size_t{0} : std::max(limit, kLeastHeap);
}

int deepest_of(const std::vector<Value>& values) {
  int depth = 0;
  for (const Value& value : values) depth = std::max(depth, depth_of(value));
  return depth;
}

}  // namespace

Runtime::Runtime(const ChatTemplate::Limits& limits, const std::tm& now)
    : limits_(limits),
      now_(now),
      steps_left_(limits.steps),
      nesting_limit_(limits.depth * kEvaluationsPerLevel),
      heap_(heap_limit(limits.output_bytes)) {}

Runtime::~Runtime() = default;

void Runtime::check_text(size_t bytes) const {
  if (bytes > limits_.output_bytes) {
    throw failure("a text grows beyond the {} bytes allowed", limits_.output_bytes);
  }
}

int Runtime::checked_depth(int depth) const {
  if (depth > limits_.depth) throw failure("values nest more than {} deep", limits_.depth);
  return depth;
}

void Runtime::fail_steps() const {
  throw failure("the template takes more than the {} steps allowed", limits_.steps);
}

void Runtime::fail_nesting() const {
  throw failure("blocks, calls and expressions nest too deeply; the limit is {}", limits_.depth);
}

Value Runtime::text(std::string bytes, Escaping escaping) {
  check_text(bytes.size());
  scan(bytes.size());
  Charge charged = charge(sizeof(Text) + bytes.size());
  return std::make_shared<const Text>(std::move(bytes), escaping, std::move(charged));
}

Value Runtime::text_like(const Value& subject, std::string bytes) {
  return text(std::move(bytes), subject.is_markup() ? Escaping::kMarkup : Escaping::kPlain);
}

Value Runtime::list(std::vector<Value> values) {
  const int depth = checked_depth(deepest_of(values) + 1);
  Charge charged = charge(sizeof(List) + values.size() * sizeof(Value));
  return std::make_shared<const List>(std::move(values), depth, std::move(charged));
}

Value Runtime::tuple(std::vector<Value> values) {
  const int depth = checked_depth(deepest_of(values) + 1);
  Charge charged = charge(sizeof(Tuple) + values.size() * sizeof(Value));
  return std::make_shared<const Tuple>(std::move(values), depth, std::move(charged));
}

Value Runtime::group(Value grouper, Value list) {
  std::vector<Value> values{std::move(grouper), std::move(list)};
  const int depth = checked_depth(deepest_of(values) + 1);
  Charge charged = charge(sizeof(Tuple) + values.size() * sizeof(Value));
  auto tuple = std::make_shared<Tuple>(std::move(values), depth, std::move(charged));
  tuple->is_group = true;
  return std::shared_ptr<const Tuple>(std::move(tuple));
}

Value Runtime::dict(std::vector<Dict::Entry> entries) {
  for (const auto& [key, value] : entries) {
    if (!is_hashable(key)) throw failure("unhashable type: '{}'", type_name(key));
  }
  return std::make_shared<const Dict>(*this, std::move(entries));
}

Value Runtime::undefined(std::string message) {
  Charge charged = charge(sizeof(UndefinedInfo) + message.size());
  return std::make_shared<const UndefinedInfo>(
      UndefinedInfo{std::move(message), std::move(charged)});
}

Value Runtime::undefined_name(std::string_view name) {
  return undefined(fmt::format("'{}' is undefined", name));
}

Value Runtime::undefined_part(const Value& object, const Value& name) {
  std::string type(object.is_none() ? "None" : type_name(object));
  if (object.is_object()) type = object.object().full_type_name();
  if (object.is_markup()) type = "markupsafe.Markup";
  if (!object.is_none()) type += " object";
  const std::string shown = short_repr(*this, name, kShownName);
  return undefined(name.is_text() ? fmt::format("'{}' has no attribute {}", type, shown)
                                  : fmt::format("{} has no element {}", type, shown));
}

void Runtime::release_objects() {
  while (living_ != nullptr) {
    const std::shared_ptr<Object> kept = living_->shared_from_this();
    MutableObject& object = *living_;
    living_ = object.after_;
    if (living_ != nullptr) living_->before_ = nullptr;
    object.after_ = nullptr;
    object.release();
  }
}

}  // namespace fathom::text::jinja
