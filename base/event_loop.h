// SPDX-License-Identifier: Apache-2.0
// base/event_loop.h — port for the one thread on which all cores of a node live.
//
// The program's loop is overlay/grpc_event_loop.h (one gRPC completion queue and its thread), the tests' is
// tests/support/manual_loop.h (virtual time). Everything but Post, RunSlow and RunBrief is called on the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace base {

class EventLoop {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // never 0, never used twice

  virtual ~EventLoop() = default;

  // Steady time: only ever compared with itself; it starts at an arbitrary point.
  virtual absl::Time Now() const = 0;
  // Wall-clock time, for what is written into records.
  virtual absl::Time WallNow() const = 0;

  // Runs the task on the loop's thread, after what is already queued. From any thread.
  virtual void Post(Task task) = 0;
  // Runs the task on the loop's thread once `when` has come; InfiniteFuture never. Cancel of a timer that ran is harmless.
  virtual TimerId At(absl::Time when, Task task) = 0;
  virtual void Cancel(TimerId timer) = 0;

  // Runs `work` on a worker thread (handshakes, signatures, disk, password hashing), then `done` on the loop's thread.
  // Work for one loop may run in parallel and in any order. From any thread.
  virtual void RunSlow(Task work, Task done) = 0;
  // The same for at most about 100 us of it (a handshake, a signature): less than it costs to wake a worker and to be woken. A
  // loop does a few such a turn by itself, and cells wait no longer for that.
  virtual void RunBrief(Task work, Task done) { RunSlow(std::move(work), std::move(done)); }
};

// A timer that a driver re-arms after every event: setting it replaces what it was set to.
class Timer {
 public:
  Timer(EventLoop& loop, EventLoop::Task task) : loop_(loop), task_(std::move(task)) {}
  ~Timer() { Stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Reset(absl::Time when) {
    if (id_ != 0 && when == when_) return;
    Stop();
    if (when == absl::InfiniteFuture()) return;
    when_ = when;
    id_ = loop_.At(when, [this] {
      id_ = 0;
      task_();
    });
  }
  void Stop() {
    if (id_ != 0) loop_.Cancel(id_);
    id_ = 0;
  }

 private:
  EventLoop& loop_;
  EventLoop::Task task_;
  EventLoop::TimerId id_ = 0;
  absl::Time when_;
};

}  // namespace base
