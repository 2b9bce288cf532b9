// What a cache is said to take, against what it takes.
#include "engine/cache_price.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "support/shared_data.h"
#include "support/tiny_model.h"

namespace fathom::engine {
namespace {

constexpr size_t kContext = 4800, kBatch = 256;

// The bundled model with a pool of so many bytes; none: as many as it is said to need.
struct Reading {
  explicit Reading(const std::string& kv, std::optional<size_t> bytes = {}) {
    pool = ThreadPool::shared(2);
    const auto checkpoint =
        std::make_shared<const file::Checkpoint>(file::Checkpoint::open(test::bundled_model()));
    const auto model = model::Model::load(checkpoint, *pool);
    kv::Policy policy = kv::make_policy(kv::parse_policy(kv), kernel::KvFormat::kF16);
    need = cache_need(model->config(), policy, kContext, step_tokens(policy, kBatch));
    runner = std::make_unique<Runner>(
        model, pool, kernel::default_kernels(), policy,
        RunnerOptions{
            .context = kContext, .batch_tokens = kBatch, .kv_bytes = bytes.value_or(need.peak())});
    cache.emplace(runner->new_cache());
  }
  void read() {
    runner->read(*cache, test::random_tokens(kContext - 10, runner->config().vocab, 1));
  }
  size_t peak() const { return runner->pages().stats().peak_bytes; }

  std::shared_ptr<ThreadPool> pool;
  CacheNeed need;
  std::unique_ptr<Runner> runner;
  std::optional<kv::SequenceCache> cache;
};

// A text of the whole context fits into what is said to be needed, takes most of it, and does not
// fit into much less.
TEST(CachePrice, PeaksAreWhatATextTakes) {
  for (const char* kv :
       {"store=f16", "store=k4v4", "store=think(share=0.7)", "store=zipvl",
        "prefill=gemfilter(budget=512,layer=2) store=k4v4", "prefill=gemfilter(budget=512,layer=0)",
        "keep=streaming(sinks=4,recent=508)"}) {
    Reading run(kv);
    ASSERT_NO_THROW(run.read()) << kv;
    EXPECT_LE(run.peak(), run.need.peak()) << kv;
    EXPECT_LE(run.cache->bytes(), run.need.kept) << kv;
    // Most of what it needs is for an answer; or for moving what a window leaves.
    const std::string_view line = kv;
    if (line.find("layer=0") != line.npos || line.starts_with("keep=streaming")) continue;
    EXPECT_GT(double(run.peak()), 0.85 * double(run.need.peak())) << kv;
    Reading less(kv, run.need.peak() * 4 / 5);
    EXPECT_THROW(less.read(), Error) << kv;
  }
}

// What waits for the prompt's end is encoded page by page where there is no room for all at once.
TEST(CachePrice, StoresThatWaitAreEncodedInLittleRoom) {
  for (const char* kv : {"store=think(share=0.7)", "store=zipvl"}) {
    Reading run(kv), roomy(kv, size_t{1} << 30);
    run.read();
    roomy.read();
    EXPECT_EQ(run.cache->bytes(), roomy.cache->bytes()) << kv;
    EXPECT_LT(run.need.kept, run.need.reading) << kv;
    EXPECT_GT(double(run.cache->bytes()), 0.75 * double(run.need.kept)) << kv;
  }
}

// What a store or KEEP gave back when the prompt was read is given back to the system, but for what
// is left of a slab of 2 MiB for each size of page.
TEST(CachePrice, MemoryIsThatOfWhatIsKept) {
  for (const char* kv :
       {"store=think(share=0.7)", "store=zipvl", "store=zipvl(mass=0)",
        "keep=snapkv(budget=512) store=f16", "keep=snapkv(budget=512) store=k4v4"}) {
    Reading run(kv, size_t{1} << 30);
    run.read();
    const kv::PoolStats& stats = run.runner->pages().stats();
    EXPECT_EQ(stats.used_bytes, run.cache->bytes());
    EXPECT_LE(stats.held_bytes, stats.used_bytes + (size_t{3} << 21)) << kv;
    // And it is still what it was.
    const int32_t token[] = {7};
    for (const float x : run.runner->read(*run.cache, token)) ASSERT_TRUE(std::isfinite(x)) << kv;
  }
}

TEST(CachePrice, AFilterNeedsTheFirstLayersAndWhatItChooses) {
  const Reading all("store=f16"), early("prefill=gemfilter(budget=512,layer=0) store=f16"),
      late("prefill=gemfilter(budget=512,layer=3) store=f16");
  EXPECT_EQ(all.need.choosing, 0u);
  EXPECT_EQ(late.need.choosing, all.need.reading);  // four layers of four
  EXPECT_EQ(4 * early.need.choosing, all.need.reading);
  EXPECT_EQ(early.need.reading, all.need.reading / 75 * 72);  // 512 + 4,096 tokens of 4,800
  EXPECT_EQ(early.need.kept, early.need.reading);
}

// Room for as long an answer as is asked for: such a one fits behind what was chosen, exactly.
TEST(CachePrice, AFilterNeedsRoomForTheAnswerThatIsAsked) {
  const Reading any("prefill=gemfilter(budget=512,layer=0) store=f16");
  const model::Config& c = any.runner->config();
  const auto kept = [&](size_t answer) {
    return cache_need(c, any.runner->policy(), kContext, {kBatch, answer}).kept;
  };
  const size_t page = kept(64) - kept(0);
  EXPECT_EQ(kept(0), 8 * page);
  EXPECT_EQ(kept(200), 12 * page);
  EXPECT_EQ(kept(4096), any.need.kept);
  EXPECT_EQ(kept(SIZE_MAX), kContext / 64 * page);
  // Of the bundled model: 3,000 tokens, of which 512 are read, and 100 written.
  ModelOptions options;
  options.threads = 2;
  options.context = 4000;
  options.kv = "prefill=gemfilter(budget=512,layer=0) store=f16";
  options.kv_bytes = cache_need(c, any.runner->policy(), 4000, {512, 100}).peak();
  EXPECT_THROW(Engine::load(test::bundled_model(), options), Error) << "answers of any length";
  options.reply_tokens = 100;
  const auto engine = Engine::load(test::bundled_model(), options);
  kv::SequenceCache cache = engine->runner().new_cache();
  engine->runner().read(cache, test::random_tokens(3000, c.vocab, 1));
  for (const int32_t token : test::random_tokens(100, c.vocab, 2)) {
    ASSERT_NO_THROW(engine->runner().read(cache, {&token, 1}));
  }
}

// The longest text is the last whose peak fits.
TEST(CachePrice, TheLongestContextFits) {
  for (const char* kv :
       {"store=k4v4", "store=think", "prefill=gemfilter", "keep=streaming(sinks=4,recent=508)"}) {
    const Reading run(kv);
    const model::Config& c = run.runner->config();
    const kv::Policy& policy = run.runner->policy();
    const size_t room = size_t{24} << 20;
    const size_t longest = longest_context(c, policy, kBatch, room, 1 << 22);
    EXPECT_EQ(longest % kernel::kPageTokens, 0u);
    EXPECT_LE(cache_need(c, policy, longest, kBatch).peak(), room) << kv;
    if (longest == 1 << 22) continue;  // endless
    EXPECT_GT(cache_need(c, policy, longest + 1, kBatch).peak(), room) << kv;
  }
}

}  // namespace
}  // namespace fathom::engine
