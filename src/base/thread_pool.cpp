#include "base/thread_pool.h"

#include <chrono>
#include <map>
#include <system_error>

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fathom {
namespace {

// Long enough to bridge the serial parts of a forward pass, short enough not to be noticed when
// idle. Sleeping and waking costs about 50 us a time.
constexpr auto kSpin = std::chrono::microseconds(100);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Spins until done() or the spin time is over; true if done.
template <class Done>
bool spin_until(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  FATHOM_CHECK(threads >= 1);
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { worker_loop(worker); });
    }
  } catch (const std::system_error&) {
    stop();
    throw with_hint(usage_error("--threads", "the system starts no more than {} threads of {}",
                                workers_.size() + 1, threads),
                    "ask for fewer");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<ThreadPool>> pools;
  const std::scoped_lock lock(mutex);
  std::shared_ptr<ThreadPool> pool = pools[threads].lock();
  if (!pool) pools[threads] = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

void ThreadPool::run(size_t tasks, Task fn) {
  const std::scoped_lock lock(run_mutex_);
  if (workers_.empty() || tasks <= 1) {
    for (size_t task = 0; task < tasks; ++task) fn(task, 0);
    return;
  }
  FATHOM_CHECK(tasks <= kMaxTasks);
  job_ = &fn;
  finished_.store(0, std::memory_order_relaxed);
  claims_.store(uint64_t{tasks} << 32, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  take_tasks(0);
  const auto done = [&] { return finished_.load(std::memory_order_acquire) == tasks; };
  while (!spin_until(done)) std::this_thread::yield();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// A claim carries the number of tasks of the job it belongs to, so that a worker that comes late,
// after run() has returned, finds nothing to do, or helps the next job.
void ThreadPool::take_tasks(int worker) {
  for (;;) {
    const uint64_t claim = claims_.fetch_add(1, std::memory_order_acquire);
    const size_t task = claim & UINT32_MAX;
    if (task >= claim >> 32) return;
    try {
      (*job_)(task, worker);
    } catch (...) {
      const std::scoped_lock lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    finished_.fetch_add(1, std::memory_order_release);
  }
}

void ThreadPool::worker_loop(int worker) {
  for (uint32_t seen = 0;;) {
    const auto moved = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(moved)) epoch_.wait(seen, std::memory_order_acquire);
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    take_tasks(worker);
  }
}

}  // namespace fathom
