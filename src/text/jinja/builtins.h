// The filters, tests and globals that every template can use.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

// nullptr where Jinja has none of that name. The body may be nullptr: see Builtin.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
std::vector<std::string_view> filter_names();
std::vector<std::string_view> test_names();

// A global function (range, namespace, raise_exception, ...); nothing where there is none.
std::optional<Value> find_global(Runtime& run, std::string_view name);

// What find_filter and find_test search, by subject.
std::span<const Builtin> text_filters();
std::span<const Builtin> number_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> selection_filters();
std::span<const Builtin> value_tests();

}  // namespace fathom::text::jinja
