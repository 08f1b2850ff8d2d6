// SPDX-License-Identifier: Apache-2.0
// overlay/worker_pool.h — a few threads for work that is too slow for the event loop (base::EventLoop::RunSlow).
//
// Jobs run in any order and in parallel. Threads start with the first job, so a process that never needs one has none.
// Submit from any thread; Stop and the destructor from one thread only.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace overlay {

inline constexpr size_t kJobsMax = 4096;  // waiting; each is a closure of a few hundred bytes

class WorkerPool {
 public:
  using Job = std::function<void()>;

  explicit WorkerPool(int threads);
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  enum class Outcome { kTaken, kFull, kStopped };
  // Takes the job, or leaves it alone if kJobsMax wait already or the pool has stopped.
  Outcome Submit(Job& job);
  // Lets running jobs end, forgets waiting ones, joins the threads.
  void Stop();

 private:
  void Work();

  const int thread_count_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace overlay
