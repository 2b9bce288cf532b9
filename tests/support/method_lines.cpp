#include "support/method_lines.h"

#include <algorithm>
#include <map>

namespace fathom::test {
namespace {

using kv::Method;
using kv::ParameterInfo;
using kv::Stage;
using Values = std::map<std::string, std::string, std::less<>>;

const Values kRoomy = {{"budget", "4096"}, {"heavy", "2048"},  {"recent", "2048"},
                       {"local", "4096"},  {"observed", "32"}, {"chunk", "16"}};
const Values kTight = {{"budget", "48"},  {"heavy", "24"},    {"sinks", "2"},  {"window", "16"},
                       {"sparsity", "1"}, {"share", "0"},     {"local", "32"}, {"init", "8"},
                       {"block", "8"},    {"blocks", "2"},    {"chunk", "8"},  {"most", "16"},
                       {"least", "4"},    {"observed", "16"}, {"page", "8"},   {"logical", "4"},
                       {"interval", "4"}, {"represent", "2"}};
// Budgets that leave out most of a prompt of six hundred tokens.
const Values kLean = {{"a_shape", "sinks=4,window=100"},
                      {"tri_shape", "sinks=4,window=100,last=64"},
                      {"xattention", "threshold=0.2,block=64"},
                      {"minference", "vertical=40,slash=100"},
                      {"flexprefill", "gamma=0.1,min_budget=64,block=64"},
                      {"anchor", "theta=-1,step=1,block=64"},
                      {"hip", "k=64,window=64,dense_layers=0"},
                      {"hyper", "block=32,sample=32,min_len=64"},
                      {"lserve", "sinks=4,window=100"},
                      {"zipvl", "tau=0.3,probes=16"},
                      {"gemfilter", "budget=48"}};

std::string line_of(const Method& m, const std::string& parameters) {
  const std::string name =
      std::string(kv::stage_name(m.info.stage)) + "=" + std::string(m.info.name);
  return parameters.empty() ? name : name + "(" + parameters + ")";
}

bool has(const Method& m, std::string_view parameter) {
  return std::any_of(m.info.parameters.begin(), m.info.parameters.end(),
                     [&](const ParameterInfo& p) { return p.name == parameter; });
}

// Of the wanted values those that the method has; `table` for its table.
std::string list_of(const Method& m, const Values& wanted, const std::string& table) {
  std::string out;
  for (const ParameterInfo& p : m.info.parameters) {
    const auto it = wanted.find(p.name);
    if (it == wanted.end() && p.choices != kv::kAnyText) continue;
    out += (out.empty() ? "" : ",") + std::string(p.name) + "=";
    out += p.choices == kv::kAnyText ? table : it->second;
  }
  return out;
}

}  // namespace

MethodLines::MethodLines(size_t layers, size_t kv_heads) {
  std::string text;
  for (size_t l = 0; l < layers; ++l) {
    for (size_t h = 0; h < kv_heads; ++h) text += l + h == 0 ? "1 " : "0 ";
    text += "\n";
  }
  write_file(table(), text);
}

std::string MethodLines::roomy(const Method& m) const {
  if (m.info.stage == Stage::kStore) return line_of(m, "");
  if (m.info.stage == Stage::kPrefill) return line_of(m, std::string(m.info.exact));
  return line_of(m, list_of(m, kRoomy, table()));
}

std::string MethodLines::tight(const Method& m) const {
  if (m.info.stage == Stage::kStore) return line_of(m, has(m, "tail") ? "tail=0" : "");
  if (m.info.stage == Stage::kPrefill) {
    const auto it = kLean.find(m.info.name);
    return line_of(m, it == kLean.end() ? "" : it->second);
  }
  Values values = kTight;
  values["recent"] = has(m, "budget") ? "16" : "24";
  return line_of(m, list_of(m, values, table()));
}

}  // namespace fathom::test
