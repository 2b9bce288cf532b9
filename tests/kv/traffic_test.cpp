// What a step moves, against what can be worked out by hand.
#include "kv/traffic.h"

#include <gtest/gtest.h>

#include <memory>

#include "kv/attend.h"
#include "kv/policy.h"
#include "support/layer_text.h"

namespace fathom::kv {
namespace {

using Text = test::LayerText;

constexpr size_t kToken = 2 * Text::kDim * sizeof(float);  // keys and values of one kv head, f32

class Counted {
 public:
  Counted(const std::string& line, size_t tokens)
      : policy_(make_policy(parse_policy(line), kernel::KvFormat::kF32)),
        attender_(pool_, kernel::default_kernels(), policy_.prefill, policy_.fetch),
        cache_(pages_, policy_.store, {1, Text::kKvHeads, Text::kDim}),
        text_(tokens + 8, 1),
        out_(text_.q.size()) {
    step(cache_, tokens);
  }

  void step(SequenceCache& cache, size_t tokens) {
    const size_t at = cache.length();
    cache.extend(tokens);
    const SequenceRows rows{&cache, 0, tokens};
    attender_.run(text_.step(at, out_.data()), {&rows, 1});
    cache.seal(pool_);
  }
  // Of one token behind the text.
  void count(Traffic& traffic) {
    attender_.count(&traffic);
    step(cache_, 1);
    attender_.count(nullptr);
  }
  // Of one token behind the text in each of two forks, together.
  void count_forks(Traffic& traffic) {
    SequenceCache forks[] = {cache_.fork(), cache_.fork()};
    for (SequenceCache& f : forks) f.extend(1);
    const SequenceRows rows[] = {{&forks[0], 0, 1}, {&forks[1], 1, 1}};
    attender_.count(&traffic);
    attender_.run(text_.step(cache_.length(), out_.data()), rows);
    attender_.count(nullptr);
  }
  const HeadCache& head(size_t h) const { return cache_.head(0, h); }

 private:
  Policy policy_;
  ThreadPool pool_{2};
  PagePool pages_{size_t{64} << 20};
  Attender attender_;
  SequenceCache cache_;
  Text text_;
  std::vector<float> out_;
};

TEST(Traffic, OfDenseAttentionIsEveryKeyAndValueOnceAGroup) {
  Counted c("store=f32", 300);
  Traffic t;
  c.count(t);
  EXPECT_EQ(t.read, 301 * Text::kKvHeads * kToken) << "with its own token";
  EXPECT_EQ(t.written, Text::kKvHeads * kToken);
  EXPECT_EQ(t.index, 0u);
  EXPECT_EQ(t.total(), 302 * Text::kKvHeads * kToken);
}

TEST(Traffic, NothingIsCountedUnasked) {
  Counted c("store=f32", 300);
  Traffic t;
  c.count(t);
  const size_t before = t.total();
  Traffic other;
  c.count(other);
  EXPECT_EQ(t.total(), before);
}

TEST(Traffic, OfCodedPagesIsTheirCodes) {
  Counted c("store=q8(tail=64)", 640);  // 9 pages are sealed, the tail is plain
  size_t held = 0;
  for (size_t h = 0; h < Text::kKvHeads; ++h) {
    for (size_t p = 0; p < c.head(h).pages().size(); ++p) held += c.head(h).page_bytes(p);
  }
  Traffic t;
  c.count(t);
  const size_t plain = t.written;  // of one token, in the plain format
  EXPECT_EQ(t.read, held + plain);
  EXPECT_LT(t.read, 640 * plain) << "codes are smaller";
}

TEST(Traffic, OfFetchedPagesIsTheirsAndTheIndexs) {
  Counted c("store=f32 fetch=quest(budget=192,page=64)", 640);
  Traffic t;
  c.count(t);
  // The first page, the open one with one token, and the best of the others.
  EXPECT_EQ(t.read, (64 + 1 + 64) * Text::kKvHeads * kToken);
  // Bounds of 11 pages, two floats a channel; and the keys of the page that grew.
  EXPECT_GE(t.index, 11 * 2 * Text::kKvHeads * Text::kDim * sizeof(float));
  EXPECT_LT(t.index, t.read);
}

TEST(Traffic, SharedPagesCountOnceForThoseThatReadThemTogether) {
  Counted c("store=f32", 8 * 64 * 4);
  Traffic alone, together;
  c.count_forks(together);
  c.count(alone);
  EXPECT_LT(together.read, alone.read + alone.read / 10);
  EXPECT_EQ(together.written, 2 * alone.written);
}

}  // namespace
}  // namespace fathom::kv
