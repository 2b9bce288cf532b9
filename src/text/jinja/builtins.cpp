#include "text/jinja/builtins.h"

#include <algorithm>

namespace fathom::text::jinja {
namespace {

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Builtin& builtin) { return builtin.name == name; });
  return found == table.end() ? nullptr : &*found;
}

using Table = std::span<const Builtin> (*)();
constexpr Table kFilterTables[] = {text_filters, number_filters, sequence_filters,
                                   selection_filters};

void add_offered_names(std::span<const Builtin> table, std::vector<std::string_view>& names) {
  for (const Builtin& builtin : table) {
    if (builtin.body != nullptr) names.push_back(builtin.name);
  }
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
  for (const Table table : kFilterTables) {
    if (const Builtin* found = find_in(table(), name)) return found;
  }
  return nullptr;
}

const Builtin* find_test(std::string_view name) { return find_in(value_tests(), name); }

std::vector<std::string_view> filter_names() {
  std::vector<std::string_view> names;
  for (const Table table : kFilterTables) add_offered_names(table(), names);
  return names;
}

std::vector<std::string_view> test_names() {
  std::vector<std::string_view> names;
  add_offered_names(value_tests(), names);
  return names;
}

}  // namespace fathom::text::jinja
