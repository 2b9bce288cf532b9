#include "text/jinja/object.h"

#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"

namespace fathom::text::jinja {
namespace {

class RangeIterator final : public Iterator {
 public:
  explicit RangeIterator(std::shared_ptr<Object> range) : range_(std::move(range)) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    const auto& range = static_cast<const Range&>(*range_);
    if (at_ >= range.count()) return std::nullopt;
    return range.at(at_++);
  }

 private:
  std::shared_ptr<Object> range_;
  int64_t at_ = 0;
};

Value shown_entry(Runtime& run, const Dict::Entry& entry, DictView::Shows shows) {
  switch (shows) {
    case DictView::Shows::kKeys:
      return entry.first;
    case DictView::Shows::kValues:
      return entry.second;
    case DictView::Shows::kItems:
      break;
  }
  return run.tuple({entry.first, entry.second});
}

class DictIterator final : public Iterator {
 public:
  DictIterator(Value dict, DictView::Shows shows) : dict_(std::move(dict)), shows_(shows) {}
  std::optional<Value> next(Runtime& run) override {
    run.step();
    const auto& entries = dict_.dict().entries();
    if (at_ >= entries.size()) return std::nullopt;
    return shown_entry(run, entries[at_++], shows_);
  }

 private:
  Value dict_;
  DictView::Shows shows_;
  size_t at_ = 0;
};

class GeneratorIterator final : public Iterator {
 public:
  explicit GeneratorIterator(std::shared_ptr<Object> generator)
      : generator_(std::move(generator)) {}
  std::optional<Value> next(Runtime& run) override {
    return static_cast<Generator&>(*generator_).next(run);
  }

 private:
  std::shared_ptr<Object> generator_;
};

Value cycler_next(Runtime&, const Value& self, Arguments) {
  auto& cycler = static_cast<Cycler&>(self.object());
  Value current = cycler.current();
  cycler.advance();
  return current;
}

Value cycler_reset(Runtime&, const Value& self, Arguments) {
  static_cast<Cycler&>(self.object()).reset();
  return {};
}

}  // namespace

Value Object::call(Runtime&, Arguments) {
  throw failure("'{}' object is not callable", type_name());
}

void Reaper::bury(std::vector<Value> values) {
  dead_.push_back(std::move(values));
  if (reaping_) return;
  reaping_ = true;
  while (!dead_.empty()) {
    std::vector<Value> next = std::move(dead_.back());
    dead_.pop_back();
    next.clear();  // may bury more
  }
  reaping_ = false;
}

MutableObject::MutableObject(Runtime& run, int depth)
    : Object(depth), run_(run), reaper_(run.reaper_), after_(run.living_) {
  if (after_ != nullptr) after_->before_ = this;
  run.living_ = this;
}

MutableObject::~MutableObject() {
  if (before_ != nullptr) before_->after_ = after_;
  if (after_ != nullptr) after_->before_ = before_;
  if (run_.living_ == this) run_.living_ = after_;
}

Namespace::Namespace(Runtime& run, std::vector<std::pair<std::string, Value>> attributes)
    : MutableObject(run, 1), attributes_(std::move(attributes)) {}

void Namespace::release() {
  std::vector<Value> values;
  for (auto& [name, value] : attributes_) values.push_back(std::move(value));
  attributes_.clear();
  bury(std::move(values));
}

std::optional<Value> Namespace::attribute(Runtime&, std::string_view name) {
  for (const auto& [known, value] : attributes_) {
    if (known == name) return value;
  }
  return std::nullopt;
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [known, old] : attributes_) {
    if (known != name) continue;
    std::swap(old, value);
    return bury({std::move(value)});
  }
  attributes_.emplace_back(name, std::move(value));
}

void Namespace::write_repr(Runtime& run, TextBuilder& out) const {
  const TextBuilder::Writing writing(out, this);
  if (writing.is_repeated()) return out.append("<Namespace {...}>");
  out.append("<Namespace {");
  bool first = true;
  for (const auto& [name, value] : attributes_) {
    out.append(first ? "" : ", ");
    first = false;
    out.append(in_quotes(name));
    out.append(": ");
    jinja::write_repr(run, out, value);
  }
  out.append("}>");
}

void Range::write_repr(Runtime&, TextBuilder& out) const {
  out.append(step_ == 1 ? fmt::format("range({}, {})", start_, stop_)
                        : fmt::format("range({}, {}, {})", start_, stop_, step_));
}

std::optional<Value> Range::item(Runtime&, const Value& index) {
  if (!index.is_integral()) return std::nullopt;
  const int64_t i = index.integer() < 0 ? index.integer() + count_ : index.integer();
  if (i < 0 || i >= count_) return std::nullopt;
  return at(i);
}

std::unique_ptr<Iterator> Range::iterate(Runtime&) {
  return std::make_unique<RangeIterator>(shared_from_this());
}

bool Range::equals(Runtime&, const Value& other) const {
  const Range* range = other.object_as<Range>();
  if (range == nullptr || range->count_ != count_) return false;
  return count_ == 0 || (range->start_ == start_ && (count_ == 1 || range->step_ == step_));
}

DictView::DictView(Runtime& run, Value dict, Shows shows)
    : Object(run.checked_depth(depth_of(dict) + 1)), dict_(std::move(dict)), shows_(shows) {}

std::string_view DictView::type_name() const {
  switch (shows_) {
    case Shows::kKeys:
      return "dict_keys";
    case Shows::kValues:
      return "dict_values";
    case Shows::kItems:
      break;
  }
  return "dict_items";
}

void DictView::write_repr(Runtime& run, TextBuilder& out) const {
  out.append(type_name());
  out.append("([");
  bool first = true;
  for (const Dict::Entry& entry : dict_.dict().entries()) {
    out.append(first ? "" : ", ");
    first = false;
    jinja::write_repr(run, out, shown_entry(run, entry, shows_));
  }
  out.append("])");
}

std::unique_ptr<Iterator> DictView::iterate(Runtime&) {
  return std::make_unique<DictIterator>(dict_, shows_);
}

std::optional<int64_t> DictView::length(Runtime&) {
  return static_cast<int64_t>(dict_.dict().size());
}

std::unique_ptr<Iterator> Generator::iterate(Runtime&) {
  return std::make_unique<GeneratorIterator>(shared_from_this());
}

std::optional<Value> Generator::next(Runtime& run) {
  if (running_) throw failure("generator already executing");  // it reads itself
  if (source_ == nullptr) return std::nullopt;
  const Runtime::Nesting nested(run);
  running_ = true;
  std::optional<Value> value = source_->next(run);
  running_ = false;
  if (!value) source_ = nullptr;
  return value;
}

Cycler::Cycler(Runtime& run, Value items)
    : Object(run.checked_depth(depth_of(items) + 1)), items_(std::move(items)) {}

std::optional<Value> Cycler::attribute(Runtime& run, std::string_view name) {
  if (name == "current") return current();
  if (name == "items") return items_;
  if (name == "pos") return at_;
  const Value self = shared_from_this();
  if (name == "next") return run.make<Function>(run, "next", self, cycler_next);
  if (name == "reset") return run.make<Function>(run, "reset", self, cycler_reset);
  return std::nullopt;
}

Value Cycler::current() const { return items_.items().values[at_]; }

void Cycler::advance() { at_ = (at_ + 1) % items_.items().values.size(); }

Joiner::Joiner(Runtime& run, Value separator)
    : Object(run.checked_depth(depth_of(separator) + 1)), separator_(std::move(separator)) {}

Value Joiner::call(Runtime&, Arguments arguments) {
  const Bound none("joiner", "", std::move(arguments));
  if (std::exchange(used_, true)) return separator_;
  return constant_text("");
}

Function::Function(Runtime& run, std::string_view name, Value self, Body body)
    : Object(run.checked_depth(depth_of(self) + 1)),
      name_(name),
      self_(std::move(self)),
      body_(body) {}

void Function::write_repr(Runtime&, TextBuilder& out) const {
  if (self_.is_none()) {
    out.append(fmt::format("<function {}>", name_));
  } else {
    out.append(fmt::format("<built-in method {} of {} object>", name_, jinja::type_name(self_)));
  }
}

}  // namespace fathom::text::jinja
