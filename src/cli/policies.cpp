// fathom policies: what --kv understands.
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "kv/policy.h"

namespace fathom::cli {
namespace {

Json describe(const kv::MethodInfo& m) {
  Json parameters = Json::array();
  for (const kv::ParameterInfo& p : m.parameters) {
    Json one = {{"name", p.name}, {"default", p.value}, {"help", p.help}};
    if (p.choices == kv::kAnyText) {
      one["text"] = true;
    } else if (p.choices.empty()) {
      one["range"] = {p.low, p.high};
    } else {
      one["choices"] = p.choices;
    }
    parameters.push_back(one);
  }
  return {{"stage", kv::stage_name(m.stage)},
          {"method", m.name},
          {"summary", m.summary},
          {"paper", m.paper},
          {"needs", m.needs},
          {"cost", m.cost},
          {"exact", m.exact},
          {"parameters", parameters}};
}

// Everything about one method.
std::string page(const kv::MethodInfo& m) {
  std::string out = fmt::format("{}={}\n  {}\n", kv::stage_name(m.stage), m.name, m.summary);
  if (!m.paper.empty()) out += fmt::format("  paper: {}\n", m.paper);
  if (!m.needs.empty()) out += fmt::format("  needs: {}\n", m.needs);
  if (!m.cost.empty()) out += fmt::format("  cost:  {}\n", m.cost);
  if (!m.exact.empty()) out += fmt::format("  exact: {}\n", m.exact);
  for (const kv::ParameterInfo& p : m.parameters) {
    std::string range(p.choices);
    if (p.choices == kv::kAnyText) range = "a word without spaces, commas and parentheses";
    if (p.choices.empty()) range = fmt::format("{} to {}", p.low, p.high);
    out += fmt::format("  {:<12} {} (default {}; {})\n", p.name, p.help, p.value, range);
  }
  return out;
}

int policies(const std::string& name, bool json) {
  Json all = Json::array();
  std::string text;
  std::vector<std::string_view> known;
  for (const kv::Method& method : kv::all_methods()) {
    const kv::MethodInfo& m = method.info;
    known.push_back(m.name);
    if (!name.empty() && m.name != name) continue;
    all.push_back(describe(m));
    text += name.empty()
                ? fmt::format("{:<8} {:<18} {}\n", kv::stage_name(m.stage), m.name, m.summary)
                : page(m);
  }
  if (all.empty()) {
    const std::string near = kv::nearest(name, known);
    throw with_hint(usage_error("policies", "'{}' is not a method", name),
                    near.empty() ? "fathom policies lists all" : "did you mean '" + near + "'?");
  }
  if (json) {
    print_json(all);
  } else {
    print_now(text);
  }
  return 0;
}

}  // namespace

Runner add_policies(CLI::App& app) {
  struct Args {
    std::string name;
    bool json = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("policies", "List the cache methods that --kv understands");
  c->add_option("NAME", args->name, "Only this method");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "A policy line names a method for each stage; stages left out take their defaults:\n"
      "  --kv \"prefill=dense keep=all store=f16 fetch=all\"\n"
      "Keys and values may be stored apart, and layers too (the first entry with a layer counts):\n"
      "  --kv store=q8/k2v2\n"
      "  --kv \"store=f16[layers=0-1],k4v4\"");
  return [args] { return policies(args->name, args->json); };
}

}  // namespace fathom::cli
