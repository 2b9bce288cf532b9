#include "eval/named_items.h"

#include <algorithm>
#include <set>
#include <string>

#include "eval/candidates.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

constexpr size_t kShortestString = 20;  // of prefix_suffix

bool asks_for_values(const Instance& instance, const Turn& turn) {
  const std::string& task = instance.task_of(turn);
  if (instance.suite == "ruler") return task.starts_with("niah_");
  return instance.suite == "scbench" &&
         (task == "kv" || task == "kv_words" || task == "prefix_suffix");
}

bool is_string(std::string_view word) {
  return word.size() >= kShortestString && std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
         });
}

bool of_a_kind(std::string_view word, const std::string& gold, bool strings) {
  return strings ? is_string(word) : shape_of(lower(word)) == shape_of(lower(gold));
}

}  // namespace

std::optional<NamedItems> named_items(const Instance& instance, size_t turn,
                                      std::string_view output) {
  const Turn& t = instance.turns[turn];
  if (!asks_for_values(instance, t) || t.answers.empty()) return std::nullopt;
  const bool strings = instance.task_of(t) == "prefix_suffix";
  std::set<std::string> found;
  for (const std::string_view word : words_of(output)) {
    if (of_a_kind(word, t.answers[0], strings)) found.insert(lower(word));
  }
  NamedItems out;
  out.items = found.size();
  out.wanted = t.answers.size();
  for (const std::string& gold : t.answers) out.right += found.count(lower(gold));
  return out;
}

}  // namespace fathom::eval
