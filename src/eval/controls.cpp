#include "eval/controls.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "eval/random.h"
#include "eval/score/text.h"
#include "eval/watched_fetch.h"
#include "kv/fetch/runs.h"
#include "kv/keep/budgeted.h"

namespace fathom::eval {
namespace {

using kv::HeadView;
using kv::Parameters;
using kv::Runs;
using kv::Stage;

float lot(uint64_t seed, size_t layer, size_t head, size_t token) {
  return static_cast<float>(mix_seeds({seed, layer, head, token}) >> 40);
}

class RandomScorer final : public kv::Scorer {
 public:
  explicit RandomScorer(uint64_t seed) : seed_(seed) {}
  void score(const kv::KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      for (size_t i = 0; i < scores[h].size(); ++i) {
        const auto position = static_cast<size_t>(view.heads[h].position(i));
        scores[h][i] = lot(seed_, view.heads[h].layer, h, position);
      }
    }
  }

 private:
  uint64_t seed_;
};

class GoldScorer final : public kv::Scorer {
 public:
  explicit GoldScorer(std::shared_ptr<const Marks> marks) : marks_(std::move(marks)) {}
  void score(const kv::KeepView& view, Range, std::span<std::vector<float>> scores) const override {
    for (size_t h = 0; h < view.heads.size(); ++h) {
      for (size_t i = 0; i < scores[h].size(); ++i) {
        const auto position = static_cast<size_t>(view.heads[h].position(i));
        const bool gold = std::any_of(marks_->gold.begin(), marks_->gold.end(), [&](const Span& s) {
          return s.begin <= position && position < s.end;
        });
        scores[h][i] = (gold ? 1e9f : 0.0f) + static_cast<float>(position);
      }
    }
  }

 private:
  std::shared_ptr<const Marks> marks_;
};

struct ControlPages {
  size_t budget, page;  // keys
  bool oracle;
  uint64_t seed;
};

// Pages by lot, or those with most attention; the last one is always read.
class ControlIndex final : public kv::FetchIndex {
 public:
  explicit ControlIndex(const ControlPages& pages)
      : page_(pages.page),
        pages_(std::max<size_t>(1, pages.budget / page_)),
        oracle_(pages.oracle),
        seed_(pages.seed) {}

  std::unique_ptr<FetchIndex> clone() const override {
    return std::make_unique<ControlIndex>(*this);
  }
  void reads(kv::FetchCall call, size_t tokens, const kv::QueryView&, std::span<const float>,
             kv::FetchReads& out) override {
    if (oracle_ && call == kv::FetchCall::kUpdate) keys_.reads(tokens, out);
  }
  void update(const HeadView& head) override {
    if (oracle_) keys_.update(head);
  }
  void select(const HeadView& head, const kv::QueryView& query, std::span<const float>,
              std::span<Runs> runs) override {
    std::vector<float> scores((head.tokens + page_ - 1) / page_);
    if (oracle_) {
      const std::vector<float> weights = keys_.weights(head, query);
      for (size_t i = 0; i < weights.size(); ++i) scores[i / page_] += weights[i];
    } else {
      for (size_t p = 0; p < scores.size(); ++p) {
        scores[p] = lot(seed_ + head.tokens, head.layer, head.kv_head, p);
      }
    }
    kv::choose_blocks(scores, {pages_, 0, 1}, best_, chosen_);
    runs[0].clear();
    kv::add_blocks(chosen_, page_, head.tokens, runs[0]);
  }
  size_t bytes() const override { return keys_.bytes(); }

 private:
  size_t page_, pages_;
  bool oracle_;
  uint64_t seed_;
  KeyCopy keys_;
  kv::TopK best_;
  std::vector<int32_t> chosen_;
};

class ControlFetch final : public kv::FetchPolicy {
 public:
  explicit ControlFetch(const ControlPages& pages) : pages_(pages) {}
  std::unique_ptr<kv::FetchIndex> make_index() const override {
    return std::make_unique<ControlIndex>(pages_);
  }

 private:
  ControlPages pages_;
};

constexpr kv::ParameterInfo kParameters[] = {
    {"budget", "256", "", 1, 1e9, "tokens of each kv head"},
    {"seed", "1", "", 0, 1e9, "of the lot"},
    {"page", "64", "", 1, 4096, "keys that are drawn together; fetch only"},
};
constexpr size_t kKeepParameters = 2;  // the first of them

// Controls of a line, taken out of it.
struct ControlLine {
  std::string rest;  // for the registry
  bool reselects = false;
  std::string keep, fetch;
  std::map<std::string, std::string> keep_parameters, fetch_parameters;
};

std::map<std::string, std::string> typed_parameters(std::string_view word) {
  std::map<std::string, std::string> out;
  const size_t open = word.find('(');
  if (open == std::string_view::npos || word.back() != ')') return out;
  for (const std::string_view p : split(word.substr(open + 1, word.size() - open - 2), ", ")) {
    const size_t equals = std::min(p.find('='), p.size());
    out[std::string(p.substr(0, equals))] = p.substr(std::min(equals + 1, p.size()));
  }
  return out;
}

// Words of a line, blanks within parentheses belonging to them.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out(1);
  int depth = 0;
  for (const char c : line) {
    depth += (c == '(') - (c == ')');
    if (c == ' ' && depth == 0) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  std::erase(out, "");
  return out;
}

constexpr std::string_view kReselect = "+reselect";

// Takes the suffix off a KEEP method; whether it was there.
bool take_reselect(std::string& word) {
  if (!word.starts_with("keep=") || !word.ends_with(kReselect)) return false;
  word.resize(word.size() - kReselect.size());
  return true;
}

ControlLine split_controls(std::string_view line) {
  ControlLine out;
  for (std::string word : words_of(line)) {
    out.reselects |= take_reselect(word);
    const std::string name = word.substr(0, word.find('('));
    if (name == "keep=random" || name == "keep=gold") {
      out.keep = name.substr(5);
      out.keep_parameters = typed_parameters(word);
    } else if (name == "fetch=random" || name == "fetch=oracle") {
      out.fetch = name.substr(6);
      out.fetch_parameters = typed_parameters(word);
    } else {
      out.rest += (out.rest.empty() ? "" : " ") + word;
    }
  }
  return out;
}

kv::MethodInfo control_info(Stage stage, std::string_view name) {
  kv::MethodInfo info;
  info.stage = stage;
  info.name = name;
  info.parameters = kParameters;
  if (stage == Stage::kKeep) info.parameters = info.parameters.first(kKeepParameters);
  return info;
}

// The stage's word in the resolved line becomes the control's.
void rename_stage(std::string& line, std::string_view stage, const std::string& method) {
  std::string out;
  for (const std::string& word : words_of(line)) {
    const bool named = word.starts_with(std::string(stage) + "=");
    out += (out.empty() ? "" : " ") + (named ? fmt::format("{}={}", stage, method) : word);
  }
  line = out;
}

void name_reselecting(kv::Policy& policy) {
  if (!policy.keep) {
    throw with_hint(usage_error("--kv", "keep=all chooses nothing, so it cannot choose again"),
                    "for example keep=snapkv(budget=512)+reselect");
  }
  for (const std::string& word : words_of(policy.line)) {
    if (!word.starts_with("keep=")) continue;
    return rename_stage(policy.line, "keep", word.substr(5) + std::string(kReselect));
  }
}

kv::Policy make_control_policy(std::string_view line, kernel::KvFormat native,
                               const std::shared_ptr<Marks>& marks) {
  const ControlLine c = split_controls(line);
  kv::Policy policy = kv::make_policy(kv::parse_policy(c.rest), native);
  if (!c.keep.empty()) {
    const kv::MethodInfo info = control_info(Stage::kKeep, c.keep);
    const Parameters p(info, c.keep_parameters, "--kv");
    kv::ScorerPtr scorer;
    if (c.keep == "gold") {
      scorer = std::make_unique<GoldScorer>(marks);
    } else {
      scorer = std::make_unique<RandomScorer>(p.count("seed"));
    }
    policy.keep = kv::make_budgeted(std::move(scorer), kv::even_budget(p.count("budget")), {4, 0});
    rename_stage(policy.line, "keep", p.line());
  }
  if (!c.fetch.empty()) {
    const kv::MethodInfo info = control_info(Stage::kFetch, c.fetch);
    const Parameters p(info, c.fetch_parameters, "--kv");
    policy.fetch = std::make_unique<ControlFetch>(
        ControlPages{p.count("budget"), p.count("page"), c.fetch == "oracle", p.count("seed")});
    rename_stage(policy.line, "fetch", p.line());
  }
  if (c.reselects) name_reselecting(policy);
  return policy;
}

// Parameters that are shown though they are defaults: "keep=snapkv window".
using ShownParameters = std::set<std::string>;

// A word of one method; lists of stores are left as they are.
bool one_method(const std::string& word) {
  const size_t equals = word.find('='), open = std::min(word.find('('), word.size());
  const bool one = word.find_first_of(",[/") >= open && word.find(')') >= word.size() - 1;
  return one && equals != std::string::npos && equals < open;
}

ShownParameters differing(std::span<const std::string> lines) {
  std::map<std::string, std::set<std::string>> values;
  for (const std::string& line : lines) {
    for (std::string word : words_of(line)) {
      take_reselect(word);
      if (!one_method(word)) continue;
      const std::string method = word.substr(0, word.find('('));
      for (const auto& [key, value] : typed_parameters(word))
        values[method + " " + key].insert(value);
    }
  }
  ShownParameters out;
  for (const auto& [parameter, several] : values) {
    if (several.size() > 1) out.insert(parameter);
  }
  return out;
}

// A word without the parameters that are the method's defaults; "" for a default method.
std::string short_word(const std::string& word, const ShownParameters& shown) {
  const size_t equals = word.find('='), open = std::min(word.find('('), word.size());
  if (!one_method(word)) return word;
  const std::string name = word.substr(equals + 1, open - equals - 1);
  const kv::MethodInfo* info = nullptr;
  bool first = true, is_default = false;
  for (const kv::Method& m : kv::all_methods()) {
    if (kv::stage_name(m.info.stage) != word.substr(0, equals)) continue;
    if (m.info.name == name) {
      info = &m.info;
      is_default = first;
    }
    first = false;
  }
  const bool native =
      equals == 5 &&
      name == (kernel::default_kernels().native_kv == kernel::KvFormat::kBF16 ? "bf16" : "f16");
  if (is_default || native) return "";
  std::string out;
  for (const auto& [key, value] : typed_parameters(word)) {
    bool known = false;
    const auto parameters = info ? info->parameters : std::span(kParameters);
    for (const kv::ParameterInfo& p : parameters) known |= p.name == key && p.value == value;
    if (!known || key == "budget" || shown.contains(word.substr(0, open) + " " + key))
      out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  }
  const std::string method = word.substr(0, open);
  return out.empty() ? method : fmt::format("{}({})", method, out);
}

}  // namespace

Subject make_subject(const engine::Engine& model, std::string_view line, Watch watch) {
  auto marks = std::make_shared<Marks>();
  marks->kv_heads = model.model().config().kv_heads;
  marks->steps.resize(model.model().config().layers * marks->kv_heads);
  kv::Policy policy = make_control_policy(line, model.runner().kernels().native_kv, marks);
  if (policy.fetch || watch == Watch::kAlsoAll) {
    policy.fetch = std::make_shared<WatchedFetch>(policy.fetch, marks);
  }
  engine::RunnerOptions options = model.runner().options();
  options.explain = watch == Watch::kAccount;
  return {model.with_policy(std::move(policy), options), marks, split_controls(line).reselects};
}

std::string full_line(std::string_view line, kernel::KvFormat native) {
  return make_control_policy(line, native, std::make_shared<Marks>()).line;
}

namespace {

std::string shortened(std::string_view line, const ShownParameters& shown) {
  std::string out;
  for (const std::string& word : words_of(line)) {
    std::string bare = word;
    const bool reselects = take_reselect(bare);
    std::string shorter = short_word(bare, shown);
    if (reselects) shorter += kReselect;
    if (!shorter.empty()) out += (out.empty() ? "" : " ") + shorter;
  }
  return out.empty() ? "dense" : out;
}

}  // namespace

std::string short_line(std::string_view line) { return shortened(line, {}); }

std::vector<std::string> short_lines(std::span<const std::string> lines) {
  const ShownParameters shown = differing(lines);
  std::vector<std::string> out;
  for (const std::string& line : lines) out.push_back(shortened(line, shown));
  return out;
}

bool is_control(std::string_view line) {
  const ControlLine c = split_controls(line);
  return !c.keep.empty() || !c.fetch.empty();
}

std::vector<std::string> control_lines(size_t budget) {
  const size_t window = budget > 4 ? budget - 4 : 1;
  return {"store=q8",
          "store=k4v4",
          fmt::format("keep=streaming(sinks=4,recent={})", window),
          fmt::format("keep=random(budget={})", budget),
          fmt::format("keep=gold(budget={})", budget),
          fmt::format("fetch=random(budget={})", budget),
          fmt::format("fetch=oracle(budget={})", budget)};
}

}  // namespace fathom::eval
