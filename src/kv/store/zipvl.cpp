#include "kv/store/zipvl.h"

#include <algorithm>
#include <numeric>

#include "kv/attention_rows.h"

namespace fathom::kv {
namespace {

using kernel::kPageTokens;

class ZipVl final : public PageChooser {
 public:
  explicit ZipVl(ZipVlOptions options) : options_(std::move(options)) {}
  size_t window() const override { return options_.window; }
  size_t every() const override { return options_.every; }
  size_t coded_bytes(size_t d) const override {
    return std::max(options_.high->sealed_bytes(d), options_.low->sealed_bytes(d));
  }

  void choose(const HeadView& head, const QueryView& queries,
              std::span<Page> pages) const override {
    std::vector<float> received(head.tokens);
    received_attention(head, queries, received);
    std::vector<double> mass(pages.size());
    double covered = 0, total = 0;
    std::vector<size_t> order;
    for (size_t p = 0; p < pages.size(); ++p) {
      const size_t end = std::min(head.tokens, (p + 1) * kPageTokens);
      for (size_t t = p * kPageTokens; t < end; ++t) mass[p] += received[t];
      total += mass[p];
      if (pages[p].open && p > 0) {
        order.push_back(p);
      } else if (pages[p].coder != options_.low.get()) {
        covered += mass[p];
      }
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return mass[a] > mass[b]; });
    if (!pages.empty() && pages[0].open) pages[0].coder = options_.high.get();
    for (const size_t p : order) {
      const bool important = covered < options_.mass * total;
      pages[p].coder = important ? options_.high.get() : options_.low.get();
      if (important) covered += mass[p];
    }
  }

 private:
  ZipVlOptions options_;
};

}  // namespace

std::unique_ptr<const PageChooser> make_zipvl_store(ZipVlOptions options) {
  return std::make_unique<ZipVl>(std::move(options));
}

}  // namespace fathom::kv
