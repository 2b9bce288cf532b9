#include "eval/instance_file.h"

#include <algorithm>

#include "base/error.h"
#include "eval/json_lines.h"
#include "text/utf8.h"

namespace fathom::eval {
namespace {

using file::JsonView;

// Byte offsets of every character of a text, and of its end.
std::vector<size_t> character_offsets(std::string_view text) {
  std::vector<size_t> out;
  for (size_t at = 0; at < text.size(); at += text::decode_utf8(text.substr(at)).length) {
    out.push_back(at);
  }
  out.push_back(text.size());
  return out;
}

std::vector<Span> spans_of(const JsonView& turn, const std::vector<size_t>& offsets) {
  std::vector<Span> out;
  const auto spans = turn.find("gold_spans");
  if (!spans) return out;
  for (size_t i = 0; i < spans->size(); ++i) {
    const JsonView pair = spans->element(i);
    if (!pair.is_array() || pair.size() != 2) throw bad_field(pair, "is no pair of positions");
    const int64_t begin = pair.element(0).as_integer(), end = pair.element(1).as_integer();
    if (begin < 0 || end < begin || static_cast<size_t>(end) >= offsets.size()) {
      throw bad_field(pair, fmt::format("is [{}, {}], outside the context of {} characters", begin,
                                        end, offsets.size() - 1));
    }
    out.push_back({offsets[static_cast<size_t>(begin)], offsets[static_cast<size_t>(end)]});
  }
  return out;
}

Turn read_turn(const JsonView& object, const std::vector<size_t>& offsets) {
  Turn turn;
  turn.input = object.require_text("input");
  turn.answer_prefix = object.text("answer_prefix").value_or("");
  turn.lead_in = object.text("lead_in").value_or("");
  turn.answers = gold_list(object.require("answer"));
  turn.options = options_of(object);
  turn.task = object.text("task").value_or("");
  turn.max_new = size_of(object, "max_new");
  turn.gold = spans_of(object, offsets);
  return turn;
}

double depth_of(const JsonView& object) {
  const double depth = object.number("depth").value_or(-1);
  if (depth > 1) throw bad_file(object.source(), "'depth' is {}, beyond 1", depth);
  return depth;
}

uint64_t seed_value(const JsonView& object) {
  const auto seed = object.find("seed");
  if (!seed) return 0;
  if (!seed->json().is_number_integer()) throw bad_field(*seed, "is no integer");
  return seed->json().get<uint64_t>();
}

Instance read_session(const JsonView& object, const std::string& task) {
  Instance out;
  out.id = name_of(object, "id");
  out.suite = object.text("suite").value_or("");
  out.task = object.text("task").value_or(task);
  out.seed = seed_value(object);
  out.length_target = size_of(object, "L_target");
  out.tokens = size_of(object, "tokens");
  out.depth = depth_of(object);
  out.instruction = object.text("instruction").value_or("");
  out.context = object.require_text("context");
  const JsonView turns = object.require("multi_turns");
  if (!turns.is_array() || turns.size() == 0) throw bad_field(turns, "is no list of turns");
  const std::vector<size_t> offsets = character_offsets(out.context);
  for (size_t i = 0; i < turns.size(); ++i) {
    out.turns.push_back(read_turn(turns.element(i), offsets));
  }
  return out;
}

Instance read_ruler(const JsonView& object, const std::string& task) {
  Instance out;
  out.id = name_of(object, "index");
  out.task = object.text("task").value_or(task);
  out.length_target = size_of(object, "length");
  out.context = object.require_text("input");
  Turn turn;
  turn.answer_prefix = object.text("answer_prefix").value_or("");
  turn.answers = gold_list(object.require("outputs"));
  out.turns.push_back(std::move(turn));
  return out;
}

using Ordered = nlohmann::ordered_json;

Ordered answers_json(const Strings& answers) {
  return answers.size() == 1 ? Ordered(answers[0]) : Ordered(answers);
}

Ordered spans_json(const Instance& instance, const Turn& turn) {
  const std::vector<size_t> offsets = character_offsets(instance.context);
  const auto character = [&](size_t byte) {
    return std::lower_bound(offsets.begin(), offsets.end(), byte) - offsets.begin();
  };
  Ordered out = Ordered::array();
  for (const Span& s : turn.gold) out.push_back({character(s.begin), character(s.end)});
  return out;
}

Ordered turn_json(const Instance& instance, const Turn& turn) {
  Ordered out;
  out["input"] = turn.input;
  if (!turn.answer_prefix.empty()) out["answer_prefix"] = turn.answer_prefix;
  if (!turn.lead_in.empty()) out["lead_in"] = turn.lead_in;
  out["answer"] = answers_json(turn.answers);
  if (!turn.options.empty()) out["options"] = turn.options;
  if (!turn.task.empty()) out["task"] = turn.task;
  if (turn.max_new > 0) out["max_new"] = turn.max_new;
  if (!turn.gold.empty()) out["gold_spans"] = spans_json(instance, turn);
  return out;
}

Ordered session_json(const Instance& instance) {
  Ordered out;
  out["id"] = instance.id;
  if (!instance.suite.empty()) out["suite"] = instance.suite;
  out["task"] = instance.task;
  out["seed"] = instance.seed;
  if (instance.length_target > 0) out["L_target"] = instance.length_target;
  if (instance.tokens > 0) out["tokens"] = instance.tokens;
  if (instance.depth >= 0) out["depth"] = instance.depth;
  if (!instance.instruction.empty()) out["instruction"] = instance.instruction;
  out["context"] = instance.context;
  for (const Turn& t : instance.turns) out["multi_turns"].push_back(turn_json(instance, t));
  return out;
}

Ordered ruler_json(const Instance& instance) {
  if (instance.turns.size() != 1) {
    throw with_hint(usage_error(instance.id, "RULER's layout holds one question, not {}",
                                instance.turns.size()),
                    "use --layout fathom, which SCBench's tools read");
  }
  const Turn& turn = instance.turns[0];
  std::string input;
  for (const std::string& part : {instance.instruction, instance.context, turn.input}) {
    if (part.empty()) continue;
    input += (input.empty() ? "" : "\n\n") + part;
  }
  Ordered out;
  out["index"] = instance.id;
  out["task"] = instance.task;
  out["input"] = input;
  out["outputs"] = turn.answers;
  out["length"] = instance.length_target;
  out["answer_prefix"] = turn.answer_prefix;
  return out;
}

}  // namespace

Layout parse_layout(std::string_view name) {
  if (name == "fathom") return Layout::kFathom;
  if (name == "scbench") return Layout::kScbench;
  if (name == "ruler") return Layout::kRuler;
  throw with_hint(usage_error("--layout", "'{}' is not known", name),
                  "known: fathom, scbench, ruler");
}

std::vector<Instance> parse_instances(std::string_view text, const std::string& source,
                                      Layout layout, const std::string& task) {
  std::vector<Instance> out;
  each_json_line(text, source, [&](const JsonView& object) {
    out.push_back(layout == Layout::kRuler ? read_ruler(object, task) : read_session(object, task));
    if (out.back().suite.empty() && layout == Layout::kScbench) out.back().suite = "scbench";
    if (out.back().suite.empty() && layout == Layout::kRuler) out.back().suite = "ruler";
    if (out.back().id.empty()) out.back().id = std::to_string(out.size() - 1);
  });
  return out;
}

std::string instance_line(const Instance& instance, Layout layout) {
  const Ordered json = layout == Layout::kRuler ? ruler_json(instance) : session_json(instance);
  return json.dump(-1, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

}  // namespace fathom::eval
