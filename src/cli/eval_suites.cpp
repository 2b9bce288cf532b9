// What --suite names: tasks, measurements of predictions, and sizes that bring their own lengths
// and policies.
#include <algorithm>

#include "cli/eval.h"
#include "eval/score/text.h"

namespace fathom::cli {
namespace {

// An option that the user typed stays as it is.
struct Size {
  std::string_view name;
  std::string_view tasks;
  bool decode_only;  // of divergence
  const char* lengths;
  size_t instances;
  const char* policies;
};

constexpr const char* kUsual =
    "store=f16; store=q8; store=k4v4; store=rotate2; keep=streaming(sinks=4,recent=508); "
    "keep=snapkv(budget=512); keep=adakv(budget=512); fetch=quest(budget=512); "
    "prefill=xattention(threshold=0.9); "
    "prefill=xattention(threshold=0.9) store=q8 fetch=quest(budget=512)";

constexpr Size kSizes[] = {
    {"smoke", "needle,kv_words,many_shot_labels,niah_multikey_2", true, "1k,2k", 11, kUsual},
    {"quick", "all", false, "1k,2k,4k", 50, kUsual},
};

const Size* find_size(std::string_view name) {
  const auto* it = std::find_if(std::begin(kSizes), std::end(kSizes),
                                [&](const Size& s) { return s.name == name; });
  return it == std::end(kSizes) ? nullptr : it;
}

}  // namespace

SuiteChoice parse_suite(const std::string& text) {
  SuiteChoice out;
  const auto add = [&](std::string_view tasks) {
    out.tasks += (out.tasks.empty() ? "" : ",") + std::string(tasks);
  };
  bool all_sets = false;
  for (const std::string_view part : eval::split(text, ", ")) {
    if (const Size* size = find_size(part)) {
      add(size->tasks);
      out.divergence = true;
      all_sets |= !size->decode_only;
    } else if (part == "divergence" || part == "all") {
      out.divergence = all_sets = true;
      if (part == "all") add(part);
    } else if (part == "books") {
      out.books = true;
    } else {
      add(part);
    }
  }
  out.decode_only = out.divergence && !all_sets;
  return out;
}

EvalArgs with_sizes(EvalArgs args) {
  for (const std::string_view part : eval::split(args.suite, ", ")) {
    const Size* size = find_size(part);
    if (!size || !args.data.empty()) continue;
    if (args.lengths.empty()) args.lengths = size->lengths;
    if (args.instances == 0) args.instances = size->instances;
    if (args.policies.empty() && args.model.kv.empty()) args.policies = size->policies;
  }
  if (args.lengths.empty()) args.lengths = "4k";
  return args;
}

}  // namespace fathom::cli
