#include "kv/policy.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/error.h"
#include "kv/store/plain.h"

namespace fathom::kv {
namespace {

constexpr std::string_view kStages[] = {"prefill", "keep", "store", "fetch"};

constexpr MethodInfo kMethods[] = {
    {Stage::kPrefill, "dense", "every query attends to every key before it; exact"},
    {Stage::kKeep, "all", "every token stays; exact"},
    {Stage::kStore, "auto", "bf16 where the processor multiplies it natively, else f16"},
    {Stage::kStore, "f32", "32-bit floats; for tests and for judging other formats"},
    {Stage::kStore, "f16", "16-bit floats, relative error 2^-11"},
    {Stage::kStore, "bf16", "16-bit floats with the range of f32, relative error 2^-8"},
    {Stage::kFetch, "all", "every query reads every kept page; exact"},
};
constexpr std::string_view kDefaults[] = {"dense", "all", "auto", "all"};

// Insertions, deletions, replacements and swaps of neighbours that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

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
    for (size_t s = 0; s < std::size(kStages); ++s) {
      if (kStages[s] == word) {
        expect('=');
        return static_cast<Stage>(s);
      }
    }
    throw unknown("stage", word, {std::begin(kStages), std::end(kStages)});
  }

  MethodCall read_method(Stage stage) {
    const std::string_view name = read_word();
    std::vector<std::string_view> known;
    for (const MethodInfo& m : kMethods) {
      if (m.stage == stage) known.push_back(m.name);
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw unknown(fmt::format("{} method", stage_name(stage)), name, known);
    }
    if (at_ < line_.size() && line_[at_] == '(') read_no_parameters(name);
    return {std::string(name), {}};
  }

  void read_no_parameters(std::string_view method) {
    expect('(');
    const std::string_view word = read_word();
    if (!word.empty()) {
      throw usage_error("--kv", "'{}' has no parameter '{}'", method, word);
    }
    expect(')');
  }

  std::string_view line_;
  size_t at_ = 0;
};

kernel::KvFormat format_of(std::string_view name, kernel::KvFormat native) {
  if (name == "f32") return kernel::KvFormat::kF32;
  if (name == "f16") return kernel::KvFormat::kF16;
  if (name == "bf16") return kernel::KvFormat::kBF16;
  return native;
}

}  // namespace

std::string_view stage_name(Stage stage) { return kStages[static_cast<size_t>(stage)]; }

std::span<const MethodInfo> all_methods() { return kMethods; }

PolicySpec parse_policy(std::string_view line) { return PolicyParser(line).parse(); }

Policy make_policy(const PolicySpec& spec, kernel::KvFormat native) {
  Policy policy;
  for (size_t s = 0; s < std::size(kStages); ++s) {
    const auto call = spec.find(static_cast<Stage>(s));
    std::string_view name = call == spec.end() ? kDefaults[s] : call->second.name;
    if (static_cast<Stage>(s) == Stage::kStore) {
      policy.store = make_plain_codec(format_of(name, native));
      name = policy.store->name();
    }
    policy.line += fmt::format("{}{}={}", s == 0 ? "" : " ", kStages[s], name);
  }
  return policy;
}

std::string nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.size() > 64) return "";
  std::string_view best;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return std::string(best);
}

}  // namespace fathom::kv
