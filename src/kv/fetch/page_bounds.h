// Smallest and largest entry of every channel of a page's keys: an upper bound of q . k for all of
// them without reading one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kv/view.h"

namespace fathom::kv {

// Rows of numbers in 16 bits as long as these hold every number exactly, as those of a BF16 or F16
// cache do, and else in 32.
class ExactRows {
 public:
  // `rows` rows of `width` numbers, a multiple of 16; those that there are stay.
  void resize(size_t rows, size_t width);
  void set(size_t row, std::span<const float> numbers);
  // out[r][row] = queries[r] . row, for queries [count][width].
  void multiply(std::span<const float> queries, size_t count, std::span<float> out) const;
  size_t bytes() const { return words_.capacity() * 2 + floats_.capacity() * 4; }

 private:
  enum class Kind : uint8_t { kBFloat, kHalf, kFloat };
  bool holds(std::span<const float> numbers) const;
  float at(size_t i) const;
  void store(size_t i, float x);
  void become(Kind kind);

  Kind kind_ = Kind::kBFloat;
  size_t rows_ = 0, width_ = 0;
  std::vector<uint16_t> words_;
  std::vector<float> floats_;
};

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
  size_t bytes() const { return bounds_.bytes(); }

 private:
  size_t page_, pages_ = 0, complete_ = 0;
  ExactRows bounds_;            // a page's largest entries, then its smallest
  std::vector<float> row_;      // one page's
  std::vector<float> queries_;  // positive, then negative parts, [group][as above]
};

// scores[page] = maximum over the group, in place of the first head's.
void max_over_group(size_t group, std::vector<float>& scores);

}  // namespace fathom::kv
