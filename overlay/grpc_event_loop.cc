// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_event_loop.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"

namespace overlay {

namespace {

constexpr int kHeapKept =
    4 << 20;  // bytes free at the heap's end; glibc's 128 KiB are less than the messages of one link in one turn
constexpr int kHeapStep = 256 << 10;

// For the whole process. Messages of up to 64 KiB come and go; a heap that shrinks behind each has the kernel clear its pages
// again for the next: a tenth of what a relay does under load.
void KeepHeap() {
  mallopt(M_TRIM_THRESHOLD, kHeapKept);
  mallopt(M_TOP_PAD, kHeapStep);
}

}  // namespace

GrpcEventLoop::GrpcEventLoop(Options options) : wake_tag_(this), workers_(options.workers) {
  // Debian's absl looks for cycles at every lock that gRPC takes: 5 % of the time of a busy node.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  KeepHeap();
  if (!options.serves) {
    queue_ = std::make_unique<grpc::CompletionQueue>();
    return;
  }
  builder_ = std::make_unique<grpc::ServerBuilder>();
  std::unique_ptr<grpc::ServerCompletionQueue> queue = builder_->AddCompletionQueue();
  server_queue_ = queue.get();
  queue_ = std::move(queue);
}

GrpcEventLoop::~GrpcEventLoop() { ShutDown(); }

void GrpcEventLoop::Run() {
  CHECK(!running_ && !ended_);
  running_ = true;
  thread_ = std::this_thread::get_id();
  while (!stop_) Turn();
  End();
  running_ = false;
}

void GrpcEventLoop::Stop() {
  stop_ = true;
  Wake();
}

void GrpcEventLoop::ShutDown() {
  CHECK(!running_);
  if (ended_) return;
  silent_ = true;
  End();
}

// Users cancel, operations come back, workers end, the last callbacks run, the queue goes.
void GrpcEventLoop::End() {
  for (auto user = users_.rbegin(); user != users_.rend(); ++user) (*user)->OnShutdown();
  while (outstanding_ > 0 || !AllIdle()) Turn();
  workers_.Stop();
  RunTasks();
  CloseQueue();
  ended_ = true;
}

bool GrpcEventLoop::AllIdle() const {
  for (const GrpcLoopUser* user : users_) {
    if (!user->Idle()) return false;
  }
  return true;
}

void GrpcEventLoop::CloseQueue() {
  std::vector<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(tasks_);
  }
  timers_.clear();
  brief_.clear();
  timer_times_.clear();
  alarm_.Cancel();
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) continue;  // at most the alarm's
}

absl::Time GrpcEventLoop::Now() const {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

void GrpcEventLoop::Turn() {
  ++turn_;
  HandleCompletions();
  EndTurn();
  const bool timers_ran = RunTimers();
  const bool tasks_ran = RunTasks();
  const bool jobs_ran = RunBriefJobs();
  if (timers_ran || tasks_ran || jobs_ran) EndTurn();
}

void GrpcEventLoop::HandleCompletions() {
  void* tag = nullptr;
  bool ok = false;
  gpr_timespec until = WaitUntil();
  for (int handled = 0; handled < kEventsPerTurn; ++handled) {
    const auto next = queue_->AsyncNext(&tag, &ok, until);
    waiting_ = false;
    if (next != grpc::CompletionQueue::GOT_EVENT) return;
    auto* const completed = static_cast<GrpcTag*>(tag);
    if (completed != &wake_tag_) --outstanding_;
    completed->OnCompletion(ok);
    until = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  }
}

void GrpcEventLoop::EndTurn() {
  for (GrpcLoopUser* user : users_) user->OnTurnEnd();
}

// Only what is due at the start: a timer that re-arms itself in the past waits for the next turn.
bool GrpcEventLoop::RunTimers() {
  if (silent_ || timers_.empty()) return false;
  const absl::Time now = Now();
  const TimerId last = last_timer_;
  bool ran = false;
  while (!timers_.empty()) {
    const auto first = timers_.begin();
    if (first->first.first > now || first->first.second > last) break;
    const Task task = std::move(first->second);
    timer_times_.erase(first->first.second);
    timers_.erase(first);
    task();
    ran = true;
  }
  return ran;
}

bool GrpcEventLoop::RunTasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  if (silent_) return false;
  for (Task& task : tasks) std::exchange(task, nullptr)();
  return !tasks.empty();
}

gpr_timespec GrpcEventLoop::WaitUntil() {
  {
    const std::lock_guard lock(mutex_);
    if (!tasks_.empty() || !brief_.empty()) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
    waiting_ = true;
  }
  if (silent_ || timers_.empty()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const absl::Duration wait = std::max(absl::ZeroDuration(), timers_.begin()->first.first - Now());
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(absl::ToInt64Nanoseconds(wait), GPR_TIMESPAN));
}

void GrpcEventLoop::Post(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  tasks_.push_back(std::move(task));
  if (waiting_) WakeLocked();  // else the loop looks before it waits
}

void GrpcEventLoop::Wake() {
  const std::lock_guard lock(mutex_);
  if (!closed_) WakeLocked();
}

// An alarm that is already due puts its tag into the queue at once; one is enough until it has been taken out.
void GrpcEventLoop::WakeLocked() {
  if (wake_pending_) return;
  wake_pending_ = true;
  alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), static_cast<GrpcTag*>(&wake_tag_));
}

void GrpcEventLoop::WakeTag::OnCompletion(bool) {
  const std::lock_guard lock(loop->mutex_);
  loop->wake_pending_ = false;
}

base::EventLoop::TimerId GrpcEventLoop::At(absl::Time when, Task task) {
  const TimerId id = ++last_timer_;
  if (when == absl::InfiniteFuture() || ended_) return id;
  timers_.emplace(std::make_pair(when, id), std::move(task));
  timer_times_.emplace(id, when);
  return id;
}

void GrpcEventLoop::Cancel(TimerId timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  timers_.erase({found->second, timer});
  timer_times_.erase(found);
}

void GrpcEventLoop::RunSlow(Task work, Task done) {
  WorkerPool::Job job = [this, work = std::move(work), done = std::move(done)]() mutable {
    work();
    Post(std::move(done));
  };
  if (workers_.Submit(job) == WorkerPool::Outcome::kFull) job();
}

void GrpcEventLoop::RunBrief(Task work, Task done) {
  if (thread_ != std::this_thread::get_id()) return RunSlow(std::move(work), std::move(done));
  brief_.push_back({std::move(work), std::move(done)});
}

// The workers get theirs first, so that they are busy while the loop is.
bool GrpcEventLoop::RunBriefJobs() {
  std::vector<Job> jobs = std::exchange(brief_, {});
  if (jobs.empty() || silent_) return false;
  while (jobs.size() > kBriefPerTurn) {
    const size_t count = std::min(kBriefAtOnce, jobs.size() - kBriefPerTurn);
    auto share = std::make_shared<std::vector<Job>>(std::make_move_iterator(jobs.end() - static_cast<ptrdiff_t>(count)),
                                                    std::make_move_iterator(jobs.end()));
    jobs.resize(jobs.size() - count);
    RunSlow(
        [share] {
          for (const Job& job : *share) job.work();
        },
        [share] {
          for (const Job& job : *share) job.done();
        });
  }
  for (const Job& job : jobs) {
    job.work();
    job.done();
  }
  return true;
}

void* GrpcEventLoop::Start(GrpcTag& tag) {
  ++outstanding_;
  return &tag;
}

}  // namespace overlay
