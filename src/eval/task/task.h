// Tasks: each makes instances of one kind from a seed.
//
// An instance is a function of (master seed, task, length, index, kGeneratorVersion), the texts and
// the tokenizer. What is asked, the facts and their places are drawn from one stream that does not
// depend on the length; what lies around them from another. So the same question can be looked up
// in a longer text. A task is one file with one function and one line in registry.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "eval/instance.h"
#include "eval/library.h"
#include "eval/random.h"

namespace fathom::eval {

// Any change in what a seed gives adds one.
inline constexpr uint64_t kGeneratorVersion = 1;

// How long a text is.
struct Meter {
  std::function<size_t(std::string_view)> tokens;
  size_t frame = 0;  // tokens that a chat template adds to a prompt
};

struct TaskInfo;

// Everything that an instance is made from.
struct Draw {
  const TaskInfo* task = nullptr;
  const Library* library = nullptr;
  const Meter* meter = nullptr;
  uint64_t seed = 42;  // the master seed
  size_t length = 4096;
  size_t index = 0, instances = 1;  // this one's place among all of the task and length
  size_t turns = 5;                 // of tasks with several
  bool own_answers = false;  // there is room for the most tokens of every answer, not of the last

  Random facts() const;
  Random haystack() const;
  uint64_t instance_seed() const;
  ProseStream prose() const { return {*library, haystack()}; }
  // A depth for the fact that matters most: evenly spread over the instances.
  double stratified_depth(Random& random) const;
};

enum class Capability : uint8_t { kString, kSemantic, kGlobal, kMixed, kRuler, kNeedle };

struct TaskInfo {
  std::string_view suite, name;
  Capability capability;
  size_t max_new;  // tokens of an answer
  std::string_view summary;
  Instance (*make)(const Draw&);
  bool by_name = false;  // not part of its suite nor of "all"
};

std::span<const TaskInfo> all_tasks();
std::string_view capability_name(Capability capability);
// Tasks of a comma-separated list of suites and tasks ("needle,ruler", "kv", "scbench/vt"; "all" is
// every one). Throws Error(kUsage) naming the nearest for an unknown one.
std::vector<const TaskInfo*> choose_tasks(std::string_view list);

// Throws Error(kTooLong) where the task does not fit into the length.
Instance make_instance(const Draw& draw);

// Tokens of an answer that the task allows at a length: its own number, at most a quarter.
size_t answer_tokens(const Draw& draw);
// Tokens of the whole session: instruction, context, every question with its gold answer, and the
// longest answer allowed for the last, or, with own_answers, for each. With one turn this is
// RULER's rule.
size_t session_tokens(const Draw& draw, const Instance& instance);

// The largest instance that fits, between 97 and 100 % of the length where the units allow it.
// `render` is given a number of units, and, where units are coarse, of sentences to fill up with.
Instance fit(const Draw& draw, FunctionRef<Instance(size_t units, size_t fill)> render);

// A piece that is put between units, and the turns whose answers need it.
struct Insert {
  std::string text;  // with what stands behind it
  double depth = 0;  // 0 to 1, of the units' characters; it goes to the next border
  std::vector<size_t> turns;
};
// The context of units with inserts between them; records gold spans in the turns.
void weave(std::span<const std::string> units, std::vector<Insert> inserts, Instance& out);

// Appends to the context; a piece some turn needs is recorded there, without blanks at its ends.
void append(Instance& out, std::string_view text);
void append_gold(Instance& out, std::string_view text, size_t turn);

}  // namespace fathom::eval
