#include "eval/recommend_candidates.h"

#include <fmt/format.h>

#include <algorithm>

namespace fathom::eval {
namespace {

size_t share_of(double share, size_t length, size_t least) {
  return std::max(least, static_cast<size_t>(share * static_cast<double>(length)) / 64 * 64);
}

size_t keep_budget(const Budgeted& keep, size_t length) {
  return share_of(keep.share, length, 128);
}

// A keep method's word.
std::string keep_word(const Budgeted& keep, size_t length) {
  if (keep.method.empty()) return "all";
  const size_t budget = keep_budget(keep, length);
  if (keep.method == "streaming") {
    return fmt::format("streaming(sinks=4,recent={},positions=slots)", budget - 4);
  }
  if (keep.method == "h2o") return fmt::format("h2o(heavy={0},recent={0})", budget / 2);
  return fmt::format("{}(budget={})", keep.method, budget);
}

std::string fetch_word(const Budgeted& fetch, size_t length) {
  if (fetch.method.empty()) return "all";
  const size_t budget = share_of(fetch.share, length, 256);
  const size_t open = fetch.method.find('(');
  if (open == std::string::npos) return fmt::format("{}(budget={})", fetch.method, budget);
  return fmt::format("{}(budget={},{}", fetch.method.substr(0, open), budget,
                     fetch.method.substr(open + 1));
}

std::string prefill_word(const Candidate& c, size_t length) {
  std::string out = c.prefill;
  const std::string budget = std::to_string(share_of(c.prefill_share, length, 64));
  for (size_t at = out.find("{s}"); at != std::string::npos; at = out.find("{s}")) {
    out.replace(at, 3, budget);
  }
  return out;
}

Candidate with_store(Candidate c, std::string store) {
  c.store = std::move(store);
  return c;
}
Candidate with_prefill(Candidate c, std::string prefill, double share = 0) {
  c.prefill = std::move(prefill);
  c.prefill_share = share;
  return c;
}
Candidate with_keep(Candidate c, std::string method, double share) {
  c.keep = {std::move(method), share};
  return c;
}
Candidate with_fetch(Candidate c, std::string method, double share) {
  c.fetch = {std::move(method), share};
  return c;
}

}  // namespace

std::string Candidate::line(size_t length) const {
  return fmt::format("prefill={} keep={} store={} fetch={}", prefill_word(*this, length),
                     keep_word(keep, length), store, fetch_word(fetch, length));
}

size_t kept_tokens(const Candidate& c, size_t length) {
  return c.keep.method.empty() ? length : std::min(length, keep_budget(c.keep, length));
}

const std::vector<std::string>& stores_by_size() {
  static const std::vector<std::string> kStores = {"auto", "q8",    "k8v4", "k4v4", "rotate4",
                                                   "nf4",  "ksort", "k4v2", "k2v2", "rotate2"};
  return kStores;
}

std::vector<Candidate> single_changes(const Candidate& base) {
  const Candidate& b = base;
  std::vector<Candidate> out = {
      with_store(b, "q8"),
      with_fetch(b, "quest", 0.125),
      with_prefill(b, "xattention(threshold=0.9)"),
      with_store(b, "k4v4"),
      with_keep(b, "snapkv", 0.25),
      with_fetch(b, "quest(page=64)", 0.25),
      with_prefill(b, "minference(vertical={s},slash={s})", 1.0 / 16),
      with_keep(b, "adakv", 0.25),
      with_fetch(b, "lserve", 0.125),
      with_prefill(b, "flexprefill(gamma=0.9)"),
      with_store(b, "rotate4"),
      with_keep(b, "streaming", 0.25),
      with_prefill(b, "xattention(threshold=0.95)"),
      with_keep(b, "expected", 0.25),
      with_store(b, "nf4"),
      with_fetch(b, "quest(page=64)", 0.125),
      with_prefill(b, "anchor"),
      with_keep(b, "snapkv", 0.5),
      with_store(b, "ksort"),
      with_fetch(b, "recycled", 0.25),
      with_store(b, "k8v4"),
      with_keep(b, "tova", 0.25),
      with_prefill(b, "hip(k={s})", 1.0 / 16),
      with_keep(b, "h2o", 0.5),
      with_store(b, "k4v2"),
      with_keep(b, "keydiff", 0.25),
      with_store(b, "k2v2"),
      with_store(b, "rotate2"),
  };
  std::erase(out, base);
  return out;
}

std::vector<Candidate> combinations(const BestChanges& best) {
  const Candidate &b = best.base, &s = best.store, &p = best.prefill, &k = best.keep,
                  &f = best.fetch;
  const auto join = [](const Candidate& store, const Candidate& prefill, const Candidate& keep,
                       const Candidate& fetch) {
    return Candidate{store.store, prefill.prefill, prefill.prefill_share, keep.keep, fetch.fetch};
  };
  std::vector<Candidate> out;
  for (const Candidate& c :
       {join(s, p, b, f), join(b, p, b, f), join(s, p, k, b), join(b, p, k, b), join(s, p, b, b),
        join(s, b, b, f), join(s, b, k, b), join(s, p, k, f)}) {
    const bool known = c == b || c == s || c == p || c == k || c == f ||
                       std::find(out.begin(), out.end(), c) != out.end();
    if (!known) out.push_back(c);
  }
  return out;
}

}  // namespace fathom::eval
