// map, select, reject, selectattr and rejectattr: other filters and tests applied to each item,
// when the item is asked for.
#include <algorithm>

#include "text/jinja/attribute_path.h"
#include "text/jinja/builtins.h"
#include "text/jinja/operations.h"

namespace fathom::text::jinja {
namespace {

const Builtin& required(const Value& name, std::string_view what,
                        const Builtin* (*find)(std::string_view),
                        std::vector<std::string_view> (*names)()) {
  if (name.is_undefined()) {
    throw Failure{fmt::format("no {} was named: {}", what, name.undefined().message),
                  fmt::format("the name of a {} stands in quotes", what)};
  }
  if (!name.is_text()) throw failure("a {}'s name must be str, not {}", what, type_name(name));
  const Builtin* found = find(name.bytes());
  if (found != nullptr) return *found;
  throw Failure{fmt::format("no {} named '{}'", what, name.bytes()),
                nearest_name_hint(name.bytes(), names())};
}

Arguments without_first(const Arguments& arguments, size_t count) {
  Arguments out = arguments;
  const auto begin = out.positional.begin();
  out.positional.erase(begin, begin + static_cast<int64_t>(std::min(count, out.positional.size())));
  return out;
}

// Reads its subject when the first item is asked for; falsy subjects have no items.
class ItemwiseIterator : public Iterator {
 public:
  ItemwiseIterator(Value subject, Arguments arguments)
      : subject_(std::move(subject)), arguments_(std::move(arguments)) {}

  std::optional<Value> next(Runtime& run) override {
    if (!started_) start(run);
    while (source_ != nullptr) {
      std::optional<Value> item = source_->next(run);
      if (!item) return std::nullopt;
      if (std::optional<Value> result = apply(run, *item)) return result;
    }
    return std::nullopt;
  }

 protected:
  virtual void prepare(Runtime& run) = 0;
  // What becomes of an item; nothing where it is left out.
  virtual std::optional<Value> apply(Runtime& run, const Value& item) = 0;
  const Arguments& arguments() const { return arguments_; }

 private:
  void start(Runtime& run) {
    started_ = true;
    if (!truth(run, subject_)) return;
    prepare(run);
    source_ = iterate(run, subject_);
  }

  Value subject_;
  Arguments arguments_;
  std::unique_ptr<Iterator> source_;
  bool started_ = false;
};

class MapIterator final : public ItemwiseIterator {
 public:
  using ItemwiseIterator::ItemwiseIterator;

 private:
  void prepare(Runtime& run) override {
    const auto& named = arguments().named;
    const auto find = [&](std::string_view name) {
      const auto found = std::find_if(named.begin(), named.end(),
                                      [&](const auto& argument) { return argument.first == name; });
      return found == named.end() ? nullptr : &found->second;
    };
    const Value* attribute = find("attribute");
    if (arguments().positional.empty() && attribute != nullptr) {
      if (const Value* fallback = find("default")) fallback_ = *fallback;
      for (const auto& [name, value] : named) {
        if (name != "attribute" && name != "default") {
          throw failure("Unexpected keyword argument '{}'", name);
        }
      }
      path_.emplace(run, *attribute);
      return;
    }
    if (arguments().positional.empty()) throw failure("map requires a filter argument");
    filter_ = &required(arguments().positional[0], "filter", find_filter, filter_names);
    filter_arguments_ = without_first(arguments(), 1);
  }

  std::optional<Value> apply(Runtime& run, const Value& item) override {
    if (path_) return path_->of(run, item, fallback_);
    return (*filter_)(run, item, filter_arguments_);
  }

  std::optional<AttributePath> path_;
  Value fallback_;
  const Builtin* filter_ = nullptr;
  Arguments filter_arguments_;
};

enum class Keeps { kMatches, kOthers };
enum class Looks { kAtItem, kAtAttribute };

class SelectIterator final : public ItemwiseIterator {
 public:
  SelectIterator(Value subject, Arguments arguments, Keeps keeps, Looks looks)
      : ItemwiseIterator(std::move(subject), std::move(arguments)), keeps_(keeps), looks_(looks) {}

 private:
  void prepare(Runtime& run) override {
    const std::vector<Value>& given = arguments().positional;
    size_t used = 0;
    if (looks_ == Looks::kAtAttribute) {
      if (given.empty()) throw failure("Missing parameter for attribute name");
      path_.emplace(run, given[used++]);
    }
    if (given.size() == used) return;
    test_ = &required(given[used++], "test", find_test, test_names);
    test_arguments_ = without_first(arguments(), used);
  }

  std::optional<Value> apply(Runtime& run, const Value& item) override {
    const Value looked_at = path_ ? path_->of(run, item) : item;
    const Value result = test_ ? (*test_)(run, looked_at, test_arguments_) : looked_at;
    if (truth(run, result) == (keeps_ == Keeps::kMatches)) return item;
    return std::nullopt;
  }

  Keeps keeps_;
  Looks looks_;
  std::optional<AttributePath> path_;
  const Builtin* test_ = nullptr;
  Arguments test_arguments_;
};

Value generator(Runtime& run, const Value& subject, const Bound& args,
                std::unique_ptr<Iterator> iterator) {
  int depth = depth_of(subject);
  for (const Value& value : args.all().positional) depth = std::max(depth, depth_of(value));
  for (const auto& [name, value] : args.all().named) depth = std::max(depth, depth_of(value));
  return run.make<Generator>("generator", run.checked_depth(depth + 1), std::move(iterator));
}

Value map(Runtime& run, const Value& subject, const Bound& args) {
  return generator(run, subject, args, std::make_unique<MapIterator>(subject, args.all()));
}

template <Keeps keeps, Looks looks>
Value select(Runtime& run, const Value& subject, const Bound& args) {
  return generator(run, subject, args,
                   std::make_unique<SelectIterator>(subject, args.all(), keeps, looks));
}

constexpr Builtin kFilters[] = {
    {"map", "*", map},
    {"reject", "*", select<Keeps::kOthers, Looks::kAtItem>},
    {"rejectattr", "*", select<Keeps::kOthers, Looks::kAtAttribute>},
    {"select", "*", select<Keeps::kMatches, Looks::kAtItem>},
    {"selectattr", "*", select<Keeps::kMatches, Looks::kAtAttribute>},
};

}  // namespace

std::span<const Builtin> selection_filters() { return kFilters; }

}  // namespace fathom::text::jinja
