// Smallest and largest entry of every channel of a page's keys: an upper bound of q . k for all of
// them without reading one.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

class PageBounds {
 public:
  explicit PageBounds(size_t page) : page_(page) {}

  // Follows the head: pages that are complete and known stay, the rest are read again.
  void update(const HeadView& head);
  // Keys before this one are not read again by update() of a head of `tokens`.
  size_t first_unread(size_t tokens) const { return std::min(complete_, tokens / page_) * page_; }
  size_t page() const { return page_; }
  size_t pages() const { return pages_; }
  // scores[head of the group][page] >= q . k of every key of the page, unscaled, up to rounding.
  // 2 * head_dim multiply-adds a page and query head. Shape [group * pages()].
  void score(const HeadView& head, const QueryView& query, std::vector<float>& scores);
  size_t bytes() const { return (low_.capacity() + high_.capacity()) * sizeof(float); }

 private:
  size_t page_, pages_ = 0, complete_ = 0;
  std::vector<float> low_, high_;           // [pages][head_dim]
  std::vector<float> positive_, negative_;  // parts of the queries, [group][head_dim]
};

// scores[page] = maximum over the group, in place of the first head's.
void max_over_group(size_t group, std::vector<float>& scores);

}  // namespace fathom::kv
