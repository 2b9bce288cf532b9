// What the policies are, and how the figures came about.
#include <set>

#include "eval/controls.h"
#include "eval/html/chart.h"
#include "eval/html/markup.h"
#include "eval/html/sections.h"
#include "eval/model_traits.h"
#include "eval/score/text.h"
#include "kv/registry.h"

namespace fathom::eval::html {
namespace {

// Methods that the lines name, in the registry's order.
std::vector<const kv::Method*> methods_of(const Report& report) {
  std::set<std::string> named;
  for (const PolicyReport& p : report.policies) {
    for (const std::string_view word : split(p.policy, " ")) {
      named.emplace(word.substr(0, word.find('(')));
    }
  }
  std::vector<const kv::Method*> out;
  for (const kv::Method& m : kv::all_methods()) {
    if (named.count(fmt::format("{}={}", kv::stage_name(m.info.stage), m.info.name)) > 0) {
      out.push_back(&m);
    }
  }
  return out;
}

std::string describe(const kv::MethodInfo& m) {
  std::string out = fmt::format(
      "<details><summary>{}<span class=\"name\">{}={}</span> <span class=\"soft\">{}</span>"
      "</summary>",
      mark(std::string(kv::stage_name(m.stage))), kv::stage_name(m.stage), escape(m.name),
      escape(m.summary));
  if (!m.paper.empty()) out += fmt::format("<p>{}</p>", escape(m.paper));
  if (!m.cost.empty()) out += fmt::format("<p>Costs: {}</p>", escape(m.cost));
  if (!m.needs.empty()) out += fmt::format("<p>Needs: {}</p>", escape(m.needs));
  if (!m.parameters.empty()) {
    out += "<dl>";
    for (const kv::ParameterInfo& p : m.parameters) {
      out += fmt::format("<dt class=\"name\">{}={}</dt><dd>{}</dd>", escape(p.name),
                         escape(p.value), escape(p.help));
    }
    out += "</dl>";
  }
  return out + "</details>\n";
}

struct ControlText {
  const char *name, *text;
};
constexpr ControlText kControls[] = {
    {"keep=random", "tokens drawn by lot: what eviction without any sense gives"},
    {"keep=gold",
     "what the answers need, and the newest tokens: nothing that evicts can be better"},
    {"fetch=random", "pages drawn by lot at every step"},
    {"fetch=oracle",
     "the pages that hold most of the attention; reads every key to find them, so it saves "
     "nothing"},
};

std::string describe_controls(const Report& report) {
  std::string out;
  for (const ControlText& c : kControls) {
    for (const PolicyReport& p : report.policies) {
      if (p.policy.find(c.name) == std::string::npos) continue;
      out += fmt::format(
          "<details><summary>{}<span class=\"name\">{}</span> <span class=\"soft\">"
          "{}</span></summary><p>A control: policies should lie between those that "
          "know nothing and those that know too much.</p></details>\n",
          mark("control"), c.name, c.text);
      break;
    }
  }
  return out;
}

std::string text_of(const nlohmann::ordered_json& run, const char* key) {
  const auto it = run.find(key);
  if (it == run.end()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

constexpr const char* kHow =
    "<p class=\"note\">A session, one context with its questions, is the unit: questions over one "
    "context are not independent. Intervals are at 95 %: Wilson's on the effective number of "
    "questions for scores of 0 and 1, else a bootstrap over sessions. Policies are compared on the "
    "same questions; sessions are resampled within their task and tasks count alike; p is of "
    "McNemar's exact test where there is one task of single questions, else of a test that swaps "
    "the two policies session by session; Holm's correction is for the number of policies. A "
    "policy is on the frontier unless another costs at most 98 % and is not 0.5 points worse, or "
    "at most 102 % and is better, at 95 %. KEEP decides once, when the context has been read and "
    "before any question; under a FETCH method questions are fed token by token. Small models have "
    "few retrieval heads: the order of policies is evidence, the size of a loss is not.</p>\n";

}  // namespace

std::string descriptions(const Report& report) {
  std::string body;
  for (const kv::Method* m : methods_of(report)) body += describe(m->info);
  body += describe_controls(report);
  if (body.empty()) return "";
  return section("methods", "What the policies are", "", body);
}

std::string caveats(const nlohmann::ordered_json& run) {
  const auto c = caveats_of(run);
  if (!c) return "";
  std::string body = "<ul class=\"notes\">\n";
  for (const auto* list : {&c->measured, &c->caveats}) {
    for (const std::string& line : *list) body += fmt::format("<li>{}</li>\n", escape(line));
  }
  return section("caveats", c->title, "", body + "</ul>\n");
}

std::string provenance(const Report&, const nlohmann::ordered_json& run) {
  struct Row {
    const char *name, *key;
  };
  constexpr Row kRows[] = {{"model", "model"},
                           {"architecture", "architecture"},
                           {"layers", "layers"},
                           {"query heads", "heads"},
                           {"kv heads", "kv_heads"},
                           {"head size", "head_dim"},
                           {"context", "context"},
                           {"processor", "cpu"},
                           {"instructions", "instruction_set"},
                           {"threads", "threads"},
                           {"text", "text"},
                           {"seed", "seed"},
                           {"asked", "mode"}};
  std::string body;
  const std::string command = text_of(run, "command");
  if (!command.empty()) body += fmt::format("<pre><code>{}</code></pre>\n", escape(command));
  std::string rows;
  for (const Row& r : kRows) {
    const std::string value = text_of(run, r.key);
    if (!value.empty()) rows += fmt::format("<dt>{}</dt><dd>{}</dd>", r.name, escape(value));
  }
  if (!rows.empty()) body += "<dl>" + rows + "</dl>\n";
  return section("how", "How this was measured", "", body + kHow);
}

}  // namespace fathom::eval::html
