#include "kv/policy.h"

#include <algorithm>
#include <cctype>
#include <charconv>
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
      const bool again =
          stage == Stage::kStore ? !spec.stores.empty() : spec.methods.contains(stage);
      if (again) throw usage_error("--kv", "stage '{}' is named twice", stage_name(stage));
      if (stage == Stage::kStore) {
        spec.stores = read_stores();
      } else {
        spec.methods.emplace(stage, read_method(stage, read_word()));
      }
    }
    return spec;
  }

 private:
  void skip_space() {
    while (at_ < line_.size() && std::isspace(static_cast<unsigned char>(line_[at_]))) ++at_;
  }

  std::string_view read_word(std::string_view ends = "=(),") {
    const size_t begin = at_;
    while (at_ < line_.size() && ends.find(line_[at_]) == std::string_view::npos &&
           !std::isspace(static_cast<unsigned char>(line_[at_]))) {
      ++at_;
    }
    return line_.substr(begin, at_ - begin);
  }

  bool take(char c) {
    if (at_ == line_.size() || line_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (take(c)) return;
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

  std::vector<StoreEntry> read_stores() {
    std::vector<StoreEntry> entries;
    do {
      entries.push_back(read_store());
      if (entries.back().layers) continue;
      if (at_ < line_.size() && line_[at_] == ',') {
        throw with_hint(usage_error("--kv",
                                    "'{}' is for all layers that are left, so nothing can "
                                    "follow it",
                                    entries.back().keys.name),
                        "store=f16[layers=0-1],k4v4: layers first, the rest last");
      }
    } while (take(','));
    if (entries.back().layers) {
      throw with_hint(usage_error("--kv", "store= does not say what other layers use"),
                      "end the list with a store without [layers=...]: f16[layers=0-1],k4v4");
    }
    return entries;
  }

  StoreEntry read_store() {
    constexpr std::string_view kEnds = "=(),/[]";
    StoreEntry entry{read_method(Stage::kStore, read_word(kEnds)), {}, {}};
    if (take('/')) entry.values = read_method(Stage::kStore, read_word(kEnds));
    if (take('[')) entry.layers = read_layers();
    return entry;
  }

  // After "[": "layers=4]" or "layers=4-7]".
  LayerRange read_layers() {
    const std::string_view word = read_word("=]");
    if (word != "layers") throw unknown("a store's choice", word, {"layers"});
    expect('=');
    const std::string_view range = read_word("]");
    const size_t dash = std::min(range.find('-'), range.size());
    LayerRange layers;
    bool ok = to_number(range.substr(0, dash), layers.first);
    layers.last = layers.first;
    if (dash < range.size()) ok = ok && to_number(range.substr(dash + 1), layers.last);
    if (!ok || layers.first > layers.last) {
      throw with_hint(usage_error("--kv", "'{}' is not a range of layers", range),
                      "layers=FIRST-LAST, both included and counted from 0, or layers=ONE");
    }
    expect(']');
    return layers;
  }

  static bool to_number(std::string_view text, size_t& value) {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    return end.ec == std::errc{} && end.ptr == text.data() + text.size();
  }

  MethodCall read_method(Stage stage, std::string_view name) {
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

namespace {

// The first of a stage.
const MethodInfo& default_method(Stage stage) {
  const auto methods = all_methods();
  return std::find_if(methods.begin(), methods.end(),
                      [stage](const Method& m) { return m.info.stage == stage; })
      ->info;
}

CodedFormat format_of(const MethodCall& call, kernel::KvFormat native) {
  const Method* method = find_method(Stage::kStore, call.name);
  FATHOM_CHECK(method != nullptr);
  return method->store(Parameters(method->info, call.parameters, "--kv"), native);
}

// Fills policy.store and returns its part of the line.
std::string make_store(const PolicySpec& spec, kernel::KvFormat native, Policy& policy) {
  std::vector<StoreEntry> entries = spec.stores;
  if (entries.empty())
    entries.push_back({{std::string(default_method(Stage::kStore).name), {}}, {}, {}});
  const auto format = [&](const StoreEntry& entry) {
    const CodedFormat keys = format_of(entry.keys, native);
    return entry.values ? join_sides(keys, format_of(*entry.values, native)) : keys;
  };
  policy.store = Store(make_coded_codec(format(entries.back())));
  std::string line;
  for (const StoreEntry& entry : entries) {
    const CodedFormat f = format(entry);
    line += (line.empty() ? "" : ",") + f.name;
    if (!entry.layers) continue;
    line += entry.layers->first == entry.layers->last
                ? fmt::format("[layers={}]", entry.layers->first)
                : fmt::format("[layers={}-{}]", entry.layers->first, entry.layers->last);
    policy.store.add(*entry.layers, make_coded_codec(f));
  }
  return line;
}

}  // namespace

Policy make_policy(const PolicySpec& spec, kernel::KvFormat native) {
  Policy policy;
  for (size_t s = 0; s < kStages; ++s) {
    const Stage stage = static_cast<Stage>(s);
    std::string line;
    if (stage == Stage::kStore) {
      line = make_store(spec, native, policy);
    } else {
      const auto call = spec.methods.find(stage);
      const bool named = call != spec.methods.end();
      const Method* method =
          find_method(stage, named ? call->second.name : default_method(stage).name);
      FATHOM_CHECK(method != nullptr);
      const Parameters parameters(
          method->info, named ? call->second.parameters : std::map<std::string, std::string>{},
          "--kv");
      line = parameters.line();
      if (method->prefill) policy.prefill = method->prefill(parameters);
      if (method->filter) {
        policy.filter = method->filter(parameters);
        policy.prefill = policy.filter->reader;
      }
      if (method->keep) policy.keep = method->keep(parameters);
      if (method->fetch) policy.fetch = method->fetch(parameters);
    }
    policy.line += fmt::format("{}{}={}", s == 0 ? "" : " ", stage_name(stage), line);
  }
  return policy;
}

}  // namespace fathom::kv
