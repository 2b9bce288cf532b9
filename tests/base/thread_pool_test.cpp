#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const size_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<int> hits(tasks, 0);
      pool.run(tasks, [&](size_t task, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        ++hits[task];
      });
      EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), size_t{0}), tasks);
      for (const int hit : hits) EXPECT_EQ(hit, 1);
    }
  }
}

TEST(ThreadPool, ManyShortJobsInARow) {
  ThreadPool pool(4);
  std::vector<size_t> sums(4, 0);
  for (int job = 0; job < 5000; ++job) {
    pool.run(4, [&](size_t task, int) { sums[task] += task + 1; });
  }
  EXPECT_EQ(sums, (std::vector<size_t>{5000, 10000, 15000, 20000}));
}

TEST(ThreadPool, WorkersWakeAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> count{0};
    pool.run(50, [&](size_t, int) { ++count; });
    EXPECT_EQ(count, 50);
  }
}

TEST(ThreadPool, FirstExceptionReachesTheCallerAndThePoolLivesOn) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.run(10,
                        [](size_t task, int) {
                          if (task == 5) throw std::runtime_error("five");
                        }),
               std::runtime_error);
  std::atomic<int> count{0};
  pool.run(10, [&](size_t, int) { ++count; });
  EXPECT_EQ(count, 10);
}

TEST(ThreadPool, CallersTakeTurns) {
  const auto pool = ThreadPool::shared(2);
  EXPECT_EQ(pool, ThreadPool::shared(2));
  std::atomic<int> count{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) pool->run(3, [&](size_t, int) { ++count; });
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(count, 4 * 200 * 3);
}

#ifndef FATHOM_SANITIZED  // sanitizers reserve more address space than any limit
// As far as it gets where no stack has room any more.
int start_many() {
  const rlimit little{size_t{1} << 30, size_t{1} << 30};
  setrlimit(RLIMIT_AS, &little);
  try {
    ThreadPool pool(1024);
  } catch (const Error& error) {
    return static_cast<int>(error.code());
  }
  return 0;
}

TEST(ThreadPool, MoreThreadsThanTheSystemStartsAreAnError) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(std::exit(start_many()), testing::ExitedWithCode(static_cast<int>(ErrorCode::kUsage)),
              "");
}
#endif

TEST(PartOf, CoversTheRangeInGrains) {
  for (const size_t n : {0, 1, 15, 16, 17, 1000}) {
    for (const size_t parts : {1, 3, 7}) {
      size_t at = 0;
      for (size_t p = 0; p < parts; ++p) {
        const Range r = part_of(n, 16, p, parts);
        EXPECT_EQ(r.begin, at);
        EXPECT_TRUE(r.end == n || r.end % 16 == 0);
        at = r.end;
      }
      EXPECT_EQ(at, n);
    }
  }
}

}  // namespace
}  // namespace fathom
