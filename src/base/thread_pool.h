// Fork-join parallelism for kernels: a fixed set of workers that the caller joins.
//
// A job is `tasks` calls of fn(task, worker) with 0 <= worker < size(); the calling thread is
// worker 0. Tasks are handed out in ascending order, one at a time, so put the longest first. A
// task writes only what no other task of the job writes; then results do not depend on the
// schedule.
//
// Workers spin for a moment between jobs (a forward pass is a chain of short jobs) and sleep after
// that, so an idle engine uses no processor. One job runs at a time: engines that share a pool take
// turns and never oversubscribe the machine. run() allocates nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace fathom {

class ThreadPool {
 public:
  using Task = FunctionRef<void(size_t task, int worker)>;

  // REQUIRES: threads >= 1. Throws Error(kUsage) where the system starts fewer.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  // The process's pool of that many threads; made on first use, kept while somebody holds it.
  static std::shared_ptr<ThreadPool> shared(int threads);

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Returns when every task has run; workers that the system does not schedule are not waited for.
  // Rethrows the first exception a task threw. May be called from
  // any thread that is not inside a task of this pool.
  void run(size_t tasks, Task fn);

 private:
  void worker_loop(int worker);
  void stop();
  void take_tasks(int worker);

  std::vector<std::thread> workers_;
  std::mutex run_mutex_;  // held by run(): one job at a time

  static constexpr size_t kMaxTasks = size_t{1} << 31;

  const Task* job_ = nullptr;  // written by run() before claims_, read by who has claimed a task
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // of the job; read by run() when all tasks have finished

  alignas(64) std::atomic<uint32_t> epoch_{0};   // moves with every job, for those who wait
  alignas(64) std::atomic<uint64_t> claims_{0};  // tasks of the job << 32 | tasks asked for
  alignas(64) std::atomic<size_t> finished_{0};
  std::atomic<bool> stop_{false};
};

// Splits [0, n) into `parts` consecutive ranges whose borders are multiples of `grain`.
struct Range {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end - begin; }
};
inline Range part_of(size_t n, size_t grain, size_t part, size_t parts) {
  const size_t grains = (n + grain - 1) / grain;
  const size_t begin = grains * part / parts * grain;
  const size_t end = grains * (part + 1) / parts * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace fathom
