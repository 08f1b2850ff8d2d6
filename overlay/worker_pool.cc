// SPDX-License-Identifier: Apache-2.0
#include "overlay/worker_pool.h"

#include <algorithm>

namespace overlay {

WorkerPool::WorkerPool(int threads)
    : thread_count_(threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1)) {}

WorkerPool::Outcome WorkerPool::Submit(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Outcome::kStopped;
    if (jobs_.size() >= kJobsMax) return Outcome::kFull;
    jobs_.push_back(std::move(job));
    while (static_cast<int>(threads_.size()) < thread_count_) threads_.emplace_back([this] { Work(); });
  }
  wake_.notify_one();
  return Outcome::kTaken;
}

void WorkerPool::Stop() {
  std::deque<Job> forgotten;  // destroyed outside the lock: a closure may own anything
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    forgotten.swap(jobs_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
    if (stopped_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace overlay
