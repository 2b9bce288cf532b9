// fathom policies: what --kv understands.
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "kv/policy.h"

namespace fathom::cli {
namespace {

int policies(const std::string& name, bool json) {
  Json all = Json::array();
  std::vector<std::string_view> known;
  for (const kv::MethodInfo& m : kv::all_methods()) {
    known.push_back(m.name);
    if (!name.empty() && m.name != name) continue;
    all.push_back({{"stage", std::string(kv::stage_name(m.stage))},
                   {"method", std::string(m.name)},
                   {"summary", std::string(m.summary)}});
  }
  if (all.empty()) {
    const std::string near = kv::nearest(name, known);
    throw with_hint(usage_error("policies", "'{}' is not a method", name),
                    near.empty() ? "fathom policies lists all" : "did you mean '" + near + "'?");
  }
  if (json) {
    print_json(all);
    return 0;
  }
  std::string out;
  for (const Json& m : all) {
    out += fmt::format("{:<8} {:<6} {}\n", m["stage"].get<std::string>(),
                       m["method"].get<std::string>(), m["summary"].get<std::string>());
  }
  print_now(out);
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
      "  --kv \"prefill=dense keep=all store=f16 fetch=all\"");
  return [args] { return policies(args->name, args->json); };
}

}  // namespace fathom::cli
