// Every task, one line each: max_new is the published benchmark's.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "eval/score/text.h"
#include "eval/task/tasks.h"
#include "kv/policy.h"

namespace fathom::eval {
namespace {

using C = Capability;
constexpr TaskInfo kTasks[] = {
    {"needle", "needle", C::kNeedle, 32, "one odd fact in prose, by depth", make_needle},
    {"needle", "facts", C::kNeedle, 32, "facts in prose, for small models", make_hidden_facts},
    {"ruler", "niah_single_1", C::kRuler, 128, "a number among remarks", make_niah},
    {"ruler", "niah_single_2", C::kRuler, 128, "a number in prose", make_niah},
    {"ruler", "niah_single_3", C::kRuler, 128, "a uuid in prose", make_niah},
    {"ruler", "niah_multikey_1", C::kRuler, 128, "one of four keys in prose", make_niah},
    {"ruler", "niah_multikey_2", C::kRuler, 128, "one key among nothing but keys", make_niah},
    {"ruler", "niah_multikey_3", C::kRuler, 128, "one uuid among nothing but uuids", make_niah},
    {"ruler", "niah_multivalue", C::kRuler, 128, "all four values of a key", make_niah},
    {"ruler", "niah_multiquery", C::kRuler, 128, "the values of four keys", make_niah},
    {"ruler", "vt", C::kRuler, 30, "all variables of a chain", make_variable_tracking},
    {"ruler", "cwe", C::kRuler, 120, "the ten commonest words of a list", make_common_words},
    {"ruler", "fwe", C::kRuler, 50, "the three commonest coded words", make_frequent_words},
    {"ruler", "qa_1", C::kRuler, 32, "an attribute out of a document", make_card_question},
    {"ruler", "qa_2", C::kRuler, 32, "a fact that joins two documents", make_card_bridge},
    {"scbench", "kv", C::kString, 150, "values of an object of uuids", make_key_value},
    {"scbench", "kv_words", C::kString, 32, "kv for small models", make_key_value_words},
    {"scbench", "prefix_suffix", C::kString, 150, "the string with two ends", make_prefix_suffix},
    {"scbench", "vt", C::kString, 30, "one of five chains of variables", make_multi_hop},
    {"scbench", "repoqa", C::kSemantic, 1024, "a function by its description", make_repository},
    {"scbench", "qa_eng", C::kSemantic, 40, "questions about a story", make_story_questions},
    {"scbench", "qa_chn", C::kSemantic, 40, "the same in Chinese", make_chinese_questions},
    {"scbench", "choice_eng", C::kSemantic, 40, "a story, four answers", make_story_choices},
    {"scbench", "mf", C::kGlobal, 5, "statistics of a list of numbers", make_math_find},
    {"scbench", "many_shot", C::kGlobal, 10, "a rule out of solved examples", make_many_shot},
    {"scbench", "many_shot_labels", C::kGlobal, 10, "many_shot, only invented labels",
     make_label_shots, true},
    {"scbench", "summary", C::kGlobal, 200, "a summary of one document of many", make_summary},
    {"scbench", "summary_with_needles", C::kMixed, 800, "summaries and pass keys",
     make_summary_needles},
    {"scbench", "repoqa_and_kv", C::kMixed, 1024, "functions and keys", make_repository_kv},
};

bool wanted(const TaskInfo& task, std::string_view name) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    return task.suite == name.substr(0, slash) && task.name == name.substr(slash + 1);
  }
  return task.name == name || (!task.by_name && (name == "all" || task.suite == name));
}

[[noreturn]] void unknown(std::string_view name) {
  std::vector<std::string_view> known = {"all", "needle", "ruler", "scbench"};
  for (const TaskInfo& t : kTasks) known.push_back(t.name);
  const std::string near = kv::nearest(name, known);
  throw with_hint(
      usage_error("--suite", "'{}' is neither a suite nor a task", name),
      near.empty() ? "`fathom eval --list` shows all" : fmt::format("did you mean '{}'?", near));
}

}  // namespace

std::span<const TaskInfo> all_tasks() { return kTasks; }

std::string_view capability_name(Capability capability) {
  constexpr std::string_view kNames[] = {"string", "semantic", "global",
                                         "mixed",  "ruler",    "needle"};
  return kNames[static_cast<size_t>(capability)];
}

std::vector<const TaskInfo*> choose_tasks(std::string_view list) {
  std::vector<const TaskInfo*> out;
  for (const std::string_view name : split(list, ", ")) {
    const size_t before = out.size();
    bool known = false;
    for (const TaskInfo& t : kTasks) {
      if (!wanted(t, name)) continue;
      known = true;
      if (std::find(out.begin(), out.end(), &t) == out.end()) out.push_back(&t);
    }
    if (!known && out.size() == before) unknown(name);
  }
  return out;
}

}  // namespace fathom::eval
