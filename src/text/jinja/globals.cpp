// The functions that every template can call: Jinja's, and those that chat clients add.
#include <ctime>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/operations.h"
#include "text/jinja/print.h"
#include "text/jinja/strftime.h"

namespace fathom::text::jinja {
namespace {

// The sandbox allows no longer ranges.
constexpr uint64_t kLongestRange = 100000;

uint64_t range_length(int64_t start, int64_t stop, int64_t step) {
  const bool upwards = step > 0;
  if (upwards ? start >= stop : start <= stop) return 0;
  const auto from = static_cast<uint64_t>(upwards ? start : stop);
  const auto to = static_cast<uint64_t>(upwards ? stop : start);
  const uint64_t stride = upwards ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  return (to - from - 1) / stride + 1;
}

Value range(Runtime& run, const Value&, Arguments arguments) {
  const Bound args("range", "/ start stop? step?", std::move(arguments));
  const int64_t start = args.given(1) ? args.integer(0, 0) : 0;
  const int64_t stop = args.given(1) ? args.integer(1, 0) : args.integer(0, 0);
  const int64_t step = args.integer(2, 1);
  if (step == 0) throw failure("range() arg 3 must not be zero");
  const uint64_t length = range_length(start, stop, step);
  if (length > kLongestRange) {
    throw failure("a range of {} numbers is too long; at most {} are allowed", length,
                  kLongestRange);
  }
  return run.make<Range>(start, stop, step, static_cast<int64_t>(length));
}

// The entries of dict(...): of a dict or of pairs, and then the keyword arguments.
std::vector<Dict::Entry> entries_of(Runtime& run, const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    throw failure("dict() takes at most 1 positional argument ({} given)",
                  arguments.positional.size());
  }
  std::vector<Dict::Entry> entries;
  for (const Value& source : arguments.positional) {
    if (source.is_dict()) {
      entries = source.dict().entries();
      run.step(entries.size());
      continue;
    }
    for (const Value& pair : collect(run, source)) {
      const std::vector<Value> parts = collect(run, pair);
      if (parts.size() != 2) throw failure("dict() needs pairs of a key and a value");
      grow(run, entries, Dict::Entry{parts[0], parts[1]});
    }
  }
  for (const auto& [name, value] : arguments.named) {
    grow(run, entries, Dict::Entry{run.text(name), value});
  }
  return entries;
}

Value dict(Runtime& run, const Value&, Arguments arguments) {
  return run.dict(entries_of(run, arguments));
}

Value make_namespace(Runtime& run, const Value&, Arguments arguments) {
  const Value attributes = run.dict(entries_of(run, arguments));
  std::vector<std::pair<std::string, Value>> named;
  for (const auto& [key, value] : attributes.dict().entries()) {
    if (!key.is_text()) throw failure("a namespace's names must be str, not {}", type_name(key));
    named.emplace_back(key.bytes(), value);
  }
  return run.make<Namespace>(run, std::move(named));
}

Value cycler(Runtime& run, const Value&, Arguments arguments) {
  if (!arguments.named.empty()) throw failure("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) throw failure("at least one item has to be provided");
  return run.make<Cycler>(run, run.tuple(std::move(arguments.positional)));
}

Value joiner(Runtime& run, const Value&, Arguments arguments) {
  const Bound args("joiner", "sep?", std::move(arguments));
  const Value separator = args.given(0) ? args[0] : run.text(", ");
  return run.make<Joiner>(run, separator);
}

Value raise_exception(Runtime& run, const Value&, Arguments arguments) {
  const Bound args("raise_exception", "message", std::move(arguments));
  throw Raised{to_text(run, args[0])};
}

Value strftime_now(Runtime& run, const Value&, Arguments arguments) {
  const Bound args("strftime_now", "format", std::move(arguments));
  return run.text(formatted_time(run, args.text(0)));
}

Value lipsum(Runtime&, const Value&, Arguments) { throw failure("lipsum() is not offered"); }

struct Global {
  std::string_view name;
  Function::Body body;
};
constexpr Global kGlobals[] = {
    {"cycler", cycler},
    {"dict", dict},
    {"joiner", joiner},
    {"lipsum", lipsum},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"range", range},
    {"strftime_now", strftime_now},
};

}  // namespace

std::optional<Value> find_global(Runtime& run, std::string_view name) {
  for (const Global& global : kGlobals) {
    if (global.name == name) return run.make<Function>(run, global.name, Value(), global.body);
  }
  return std::nullopt;
}

}  // namespace fathom::text::jinja
