// Result lines (report.h) as JSON.
#include <map>
#include <tuple>

#include "base/error.h"
#include "eval/json_lines.h"
#include "eval/report.h"

namespace fathom::eval {
namespace {

using file::JsonView;

double seconds_of(const JsonView& object, const std::string& key) {
  const double value = object.number(key).value_or(0);
  if (value < 0) throw bad_file(object.source(), "'{}' is {}, below 0", key, value);
  return value;
}

std::optional<NamedItems> read_named(const JsonView& object) {
  if (!object.find("named")) return std::nullopt;
  const NamedItems out{size_of(object, "named"), size_of(object, "named_right"),
                       size_of(object, "named_wanted")};
  if (out.right > out.items) {
    throw bad_file(object.source(), "'named_right' is {} of {}", out.right, out.items);
  }
  return out;
}

QueryResult read_result(const JsonView& object) {
  QueryResult r;
  r.output = object.require_text("output");
  r.score = object.require("score").as_number();
  if (r.score < 0 || r.score > 1) {
    throw bad_file(object.source(), "'score' is {}, outside 0 to 1", r.score);
  }
  r.read_tokens = size_of(object, "read_tokens");
  r.read_seconds = seconds_of(object, "read_seconds");
  r.first_token_seconds = seconds_of(object, "first_token_seconds");
  r.output_tokens = size_of(object, "output_tokens");
  r.decode_seconds = seconds_of(object, "decode_seconds");
  r.kv_bytes = size_of(object, "kv_bytes");
  r.cut = object.flag("cut").value_or(false);
  r.generated = object.flag("generated").value_or(true);
  r.rouge_l = object.number("rouge_l");
  r.named = read_named(object);
  r.gold_nll = object.number("gold_nll");
  r.chosen = object.flag("chosen");
  r.choices = size_of(object, "choices");
  r.gold_kept = object.number("gold_kept");
  r.gold_layers = object.number("gold_layers");
  r.gold_fetched = object.number("gold_fetched");
  return r;
}

uint64_t seed_of_line(const JsonView& object) {
  const auto seed = object.find("seed");
  if (!seed) return 0;
  if (!seed->json().is_number_integer()) throw bad_field(*seed, "is no integer");
  return seed->json().get<uint64_t>();
}

}  // namespace

std::string result_line(const ResultLine& line) {
  const QueryResult& r = line.result;
  nlohmann::ordered_json json = {{"id", line.id},
                                 {"suite", line.suite},
                                 {"task", line.task},
                                 {"turn_task", line.turn_task},
                                 {"length", line.length},
                                 {"seed", line.seed},
                                 {"turn", line.turn},
                                 {"turns", line.turns},
                                 {"model", line.model},
                                 {"policy", line.policy},
                                 {"mode", line.mode},
                                 {"output", r.output},
                                 {"score", r.score},
                                 {"read_tokens", r.read_tokens},
                                 {"read_seconds", r.read_seconds},
                                 {"first_token_seconds", r.first_token_seconds},
                                 {"output_tokens", r.output_tokens},
                                 {"decode_seconds", r.decode_seconds},
                                 {"kv_bytes", r.kv_bytes},
                                 {"cut", r.cut},
                                 {"generated", r.generated},
                                 {"choices", r.choices},
                                 {"chance", line.chance}};
  const auto add = [&](const char* name, const auto& value) {
    if (value) json[name] = *value;
  };
  add("chosen", r.chosen);
  add("rouge_l", r.rouge_l);
  if (r.named) {
    json["named"] = r.named->items;
    json["named_right"] = r.named->right;
    json["named_wanted"] = r.named->wanted;
  }
  add("gold_nll", r.gold_nll);
  add("gold_kept", r.gold_kept);
  add("gold_layers", r.gold_layers);
  add("gold_fetched", r.gold_fetched);
  if (line.depth >= 0) json["depth"] = line.depth;
  if (line.cut_tokens > 0) json["cut_tokens"] = line.cut_tokens;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<ResultLine> parse_results(std::string_view text, const std::string& source) {
  std::vector<ResultLine> out;
  each_json_line(text, source, [&](const JsonView& object) {
    ResultLine& line = out.emplace_back();
    line.id = object.require_text("id");
    line.suite = object.text("suite").value_or("");
    line.task = object.require_text("task");
    line.turn_task = object.text("turn_task").value_or("");
    line.model = object.text("model").value_or("");
    line.policy = object.require_text("policy");
    line.mode = object.require_text("mode");
    line.length = size_of(object, "length");
    line.seed = seed_of_line(object);
    line.depth = object.number("depth").value_or(-1);
    line.cut_tokens = size_of(object, "cut_tokens");
    line.chance = object.number("chance").value_or(0);
    line.turn = size_of(object, "turn");
    line.turns = size_of(object, "turns");
    if (line.turn >= line.turns || line.turns > 1000) {
      throw bad_file(object.source(), "'turn' is {} of {}", line.turn, line.turns);
    }
    line.result = read_result(object);
  });
  return out;
}

std::vector<ResultLine> complete_sessions(std::span<const ResultLine> lines) {
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, std::map<size_t, const ResultLine*>> sessions;
  std::vector<Key> order;
  for (const ResultLine& l : lines) {
    const Key key{l.policy, l.mode, l.id};
    auto& turns = sessions[key];
    if (turns.empty()) order.push_back(key);
    turns[l.turn] = &l;
  }
  std::vector<ResultLine> out;
  for (const Key& key : order) {
    const auto& turns = sessions[key];
    if (turns.size() < turns.begin()->second->turns) continue;
    for (const auto& [turn, line] : turns) out.push_back(*line);
  }
  return out;
}

}  // namespace fathom::eval
