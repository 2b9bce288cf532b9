// Policies that know too much or nothing: between them every real one must lie.
//
//   keep=random(budget=N)   tokens drawn by lot; the floor of eviction
//   keep=gold(budget=N)     what the answers need, and the newest tokens; the ceiling of eviction
//   fetch=random(budget=N)  pages (page=64) drawn by lot at every step
//   fetch=oracle(budget=N)  the pages that hold most of the step's attention; reads every key to
//                           find them, so it saves nothing
//
// They live here and not in the registry: gold spans are known to nobody outside an evaluation.
// Also here: how an evaluation sees which keys a FETCH method reads.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "eval/attention_output.h"
#include "eval/instance.h"
#include "kv/policy.h"

namespace fathom::eval {

// What an evaluation and the policies that it runs tell each other. One instance at a time.
struct Marks {
  std::vector<Span> gold;  // positions of all that the answers need

  // While not empty: keys, by index, that select() is watched for; [layer][kv_head] lists.
  std::vector<std::vector<Span>> watched;
  size_t kv_heads = 0;
  std::atomic<size_t> wanted{0}, fetched{0};  // keys, summed over heads and steps

  // While `record` is set: what the last step read, and the attention's weights, of each [layer]
  // [kv_head].
  struct Step {
    kv::Runs runs;               // of all query heads of the group
    std::vector<float> weights;  // of every stored key, mean over the group
    std::vector<float> queries;  // [group][head_dim]
    // Over what each query head reads, with the queries of `reference`'s step.
    std::vector<AttentionOutput> outputs;
    ScoreShape shape;
  };
  bool record = false;
  // Whose queries `outputs` answer: it took the same step before. Null: those of this one.
  const Marks* reference = nullptr;
  std::vector<Step> steps;
};

struct Subject {
  std::shared_ptr<engine::Engine> engine;
  std::shared_ptr<Marks> marks;
  bool reselects = false;  // KEEP chooses again, from what is left, when a later turn has been read
  const std::string& policy() const { return engine->runner().policy().line; }
};

// The model under a policy line, which may name controls, and "+reselect" behind a KEEP method, as
// in keep=snapkv(budget=512)+reselect (Subject::reselects). `watch`: wraps the FETCH method, so
// that `marks` hear of it; steps of `all` are then taken through the same path. Throws what a
// policy throws. kAccount: caches keep a ledger (account.h).
enum class Watch : uint8_t { kMethods, kAlsoAll, kAccount };
Subject make_subject(const engine::Engine& model, std::string_view line,
                     Watch watch = Watch::kMethods);

// What the line resolves to, as results name it. Throws Error(kUsage).
std::string full_line(std::string_view line, kernel::KvFormat native);

// As a person would type it: without stages and parameters that are defaults, but for budgets.
std::string short_line(std::string_view line);

// The same of several lines beside each other: parameters in which a method's calls differ are
// shown in all of them.
std::vector<std::string> short_lines(std::span<const std::string> lines);

// Whether a line names a control.
bool is_control(std::string_view line);

// The rows that belong beside any policy: 8- and 4-bit stores, sinks and a window, tokens and pages
// by lot, the pages and tokens of one who knows. `budget` tokens each.
std::vector<std::string> control_lines(size_t budget);

}  // namespace fathom::eval
