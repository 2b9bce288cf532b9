#include "cli/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/memory.h"

namespace fathom::cli {
namespace {

// Cells that a row should fill: ranges are drawn several cells wide where there are few.
constexpr size_t kWantedCells = 48;

// A full cell is everything and a dot nothing: what is between never looks like either.
std::string_view bar(double share) {
  constexpr std::string_view kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇"};
  if (share <= 0) return "·";
  if (share >= 1) return "█";
  return kBars[static_cast<size_t>(std::clamp(share * 7, 0.0, 6.0))];
}

std::string percent(double share) {
  const double p = 100 * share;
  if (p > 0 && p < 0.1) return "under 0.1%";
  if (p >= 99.95 && share < 1) return "over 99.9%";
  return p < 10 && share > 0 ? fmt::format("{:.1f}%", p) : fmt::format("{:.0f}%", p);
}

class Picture {
 public:
  explicit Picture(const Account& account) : a_(account) {
    width_ = std::max<size_t>(1, kWantedCells / std::max<size_t>(1, a_.ranges.size()));
  }

  std::string text() {
    out_ = fmt::format("on what this answer stood: {} tokens, in ranges of {} ({})\n",
                       grouped(a_.tokens), a_.ranges[0].end, a_.policy);
    if (a_.choice.layers > 0) choice();
    row(
        "prefill", [](const AccountRange& r) { return r.prefill_keys; },
        fmt::format("{} of attention computed, by keys", percent(a_.total.prefill_keys.value())));
    row(
        "", [](const AccountRange& r) { return r.prefill_queries; }, "by queries");
    row(
        "keep", [](const AccountRange& r) { return r.kept; }, kept());
    row(
        "store", [](const AccountRange& r) { return r.stored; }, stores());
    row(
        "fetch", [](const AccountRange& r) { return r.fetched; }, fetched());
    return out_ + "        █ all, · nothing, blank: nothing was there\n";
  }

 private:
  template <class ShareOf>
  void row(std::string_view name, ShareOf share_of, const std::string& numbers) {
    out_ += fmt::format("{:<8}", name);
    for (const AccountRange& range : a_.ranges) {
      const AccountShare share = share_of(range);
      for (size_t i = 0; i < width_; ++i) {
        out_ += share.whole > 0 ? bar(share.part / share.whole) : " ";
      }
    }
    out_ += fmt::format("  {}\n", numbers);
  }

  void choice() {
    const AccountChoice& c = a_.choice;
    out_ += fmt::format("{:<8}", "chosen");
    for (const AccountShare& range : c.ranges) out_ += bar(range.value());
    out_ += fmt::format("  {} of {} tokens ({}), by {} layers; the rest counts these only\n",
                        grouped(c.chosen), grouped(c.text),
                        percent(double(c.chosen) / double(c.text)), c.layers);
  }

  std::string kept() const {
    std::string out = fmt::format("{} of tokens kept", percent(a_.total.kept.value()));
    if (a_.shortest == a_.longest) return out + fmt::format(": {} a head", grouped(a_.longest));
    return out + fmt::format(": {} to {} a head", grouped(a_.shortest), grouped(a_.longest));
  }

  std::string stores() const {
    std::vector<std::string> parts;
    for (const AccountStore& s : a_.stores) {
      const std::string format = s.keys == s.values ? s.keys : s.keys + "+" + s.values;
      parts.push_back(fmt::format("{} {}", human_bytes(static_cast<double>(s.bytes)), format));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  std::string fetched() const {
    if (a_.steps == 0) return "no token was decoded";
    return fmt::format("{} of kept keys read, in {} step{}", percent(a_.total.fetched.value()),
                       grouped(a_.steps), a_.steps == 1 ? "" : "s");
  }

  const Account& a_;
  size_t width_ = 1;
  std::string out_;
};

}  // namespace

void add_explain(CLI::App& command, bool& explain) {
  command.add_flag("--explain", explain,
                   "Show what each answer stood on: by position, the attention computed, the "
                   "tokens kept, their bytes, the keys read");
}

std::string account_text(const Account& account) {
  if (account.ranges.empty()) return "";
  return Picture(account).text();
}

}  // namespace fathom::cli
