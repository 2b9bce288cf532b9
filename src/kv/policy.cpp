#include "kv/policy.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/error.h"

namespace fathom::kv {
namespace {

Error unknown(std::string_view what, std::string_view word,
              const std::vector<std::string_view>& known) {
  const std::string near = nearest(word, known);
  std::string hint = near.empty() ? "" : fmt::format("did you mean '{}'? ", near);
  hint += fmt::format("known: {}", fmt::join(known, ", "));
  return with_hint(usage_error("--kv", "{} '{}' is not known", what, word), hint);
}

class PolicyParser {
 public:
  explicit PolicyParser(std::string_view line) : line_(line) {}

  PolicySpec parse() {
    PolicySpec spec;
    for (skip_space(); at_ < line_.size(); skip_space()) {
      const Stage stage = read_stage();
      if (!spec.emplace(stage, read_method(stage)).second) {
        throw usage_error("--kv", "stage '{}' is named twice", stage_name(stage));
      }
    }
    return spec;
  }

 private:
  void skip_space() {
    while (at_ < line_.size() && std::isspace(static_cast<unsigned char>(line_[at_]))) ++at_;
  }

  std::string_view read_word() {
    const size_t begin = at_;
    while (at_ < line_.size() && line_[at_] != '=' && line_[at_] != '(' && line_[at_] != ')' &&
           line_[at_] != ',' && !std::isspace(static_cast<unsigned char>(line_[at_]))) {
      ++at_;
    }
    return line_.substr(begin, at_ - begin);
  }

  void expect(char c) {
    if (at_ < line_.size() && line_[at_] == c) {
      ++at_;
      return;
    }
    throw with_hint(
        usage_error("--kv", "'{}' is expected at character {} of '{}'", c, at_ + 1, line_),
        "the form is stage=method or stage=method(parameter=value,...)");
  }

  Stage read_stage() {
    const std::string_view word = read_word();
    std::vector<std::string_view> known;
    for (size_t s = 0; s < kStages; ++s) {
      known.push_back(stage_name(static_cast<Stage>(s)));
      if (known.back() == word) {
        expect('=');
        return static_cast<Stage>(s);
      }
    }
    throw unknown("stage", word, known);
  }

  MethodCall read_method(Stage stage) {
    const std::string_view name = read_word();
    const Method* method = find_method(stage, name);
    if (!method) {
      std::vector<std::string_view> known;
      for (const Method& m : all_methods()) {
        if (m.info.stage == stage) known.push_back(m.info.name);
      }
      throw unknown(fmt::format("{} method", stage_name(stage)), name, known);
    }
    MethodCall call{std::string(name), {}};
    if (at_ < line_.size() && line_[at_] == '(') read_parameters(call);
    Parameters(method->info, call.parameters, "--kv");
    return call;
  }

  void read_parameters(MethodCall& call) {
    expect('(');
    for (;;) {
      skip_space();
      const std::string name(read_word());
      if (name.empty() && call.parameters.empty()) break;
      expect('=');
      if (!call.parameters.emplace(name, read_word()).second) {
        throw usage_error("--kv", "'{}' is given twice to '{}'", name, call.name);
      }
      skip_space();
      if (at_ < line_.size() && line_[at_] == ')') break;
      expect(',');
    }
    expect(')');
  }

  std::string_view line_;
  size_t at_ = 0;
};

}  // namespace

PolicySpec parse_policy(std::string_view line) { return PolicyParser(line).parse(); }

Policy make_policy(const PolicySpec& spec, kernel::KvFormat native) {
  Policy policy;
  for (size_t s = 0; s < kStages; ++s) {
    const Stage stage = static_cast<Stage>(s);
    const auto call = spec.find(stage);
    const Method* method = nullptr;
    for (const Method& m : all_methods()) {
      const bool named = call != spec.end() && m.info.name == call->second.name;
      if (m.info.stage == stage && (named || (call == spec.end() && !method))) method = &m;
    }
    FATHOM_CHECK(method != nullptr);
    const Parameters parameters(
        method->info,
        call == spec.end() ? std::map<std::string, std::string>{} : call->second.parameters,
        "--kv");
    std::string line = parameters.line();
    if (method->prefill) policy.prefill = method->prefill(parameters);
    if (method->keep) policy.keep = method->keep(parameters);
    if (method->fetch) policy.fetch = method->fetch(parameters);
    if (method->store) {
      policy.store = method->store(parameters, native);
      if (method->info.name == "auto") line = policy.store->name();
    }
    policy.line += fmt::format("{}{}={}", s == 0 ? "" : " ", stage_name(stage), line);
  }
  return policy;
}

}  // namespace fathom::kv
