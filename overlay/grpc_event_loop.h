// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_event_loop.h — the event loop of a node: one gRPC completion queue and the thread that calls Run().
//
// Everything gRPC of a node lives on this queue: its server, its client calls, its link streams. No callback API, no synchronous
// service, no second queue: another polling thread would take the sockets' events away from this one and hand them back, which
// costs two fifths of the latency (docs/decisions/0010-one-completion-queue.md). A process may hold several nodes, each with a
// loop of its own.
//
// One turn: wait for a completion or the next timer; handle it and up to kEventsPerTurn - 1 more that are ready; let users flush
// (links send what the turn queued, as one message each); run due timers, posted tasks and brief jobs; flush again if there were
// any.
//
// Order of life: loop, then its users (server, client, links), then the cores; Run() until Stop(); destroy in reverse. When Run()
// returns, nothing is outstanding and no callback comes any more. Users that are destroyed without Run() ever having been called
// end their outstanding calls silently.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/event_loop.h"
#include "overlay/worker_pool.h"

namespace overlay {

inline constexpr int kEventsPerTurn = 64;  // completions handled before links flush: full messages under load, no long wait
inline constexpr size_t kBriefPerTurn = 4;  // jobs of RunBrief that the loop does itself; the others go to the workers,
inline constexpr size_t kBriefAtOnce = 8;   // so many as one, whose results come back together and fill a message

// What a completion queue hands back: every operation started on a loop's queue carries one of these (grpc_call.h has them).
class GrpcTag {
 public:
  virtual void OnCompletion(bool ok) = 0;

 protected:
  ~GrpcTag() = default;
};

// A shell that lives on the loop.
class GrpcLoopUser {
 public:
  virtual ~GrpcLoopUser() = default;
  virtual void OnTurnEnd() {}
  // Cancel what is under way and start nothing more: the loop goes on until every operation has come back and all are Idle.
  virtual void OnShutdown() = 0;
  virtual bool Idle() const { return true; }
};

class GrpcEventLoop final : public base::EventLoop {
 public:
  struct Options {
    bool serves = false;  // true: the queue is a server's, and a GrpcServer may listen on it
    int workers = 0;      // threads for RunSlow; 0: one less than there are cores, at least one
  };
  explicit GrpcEventLoop(Options options);
  ~GrpcEventLoop() override;
  GrpcEventLoop(const GrpcEventLoop&) = delete;
  GrpcEventLoop& operator=(const GrpcEventLoop&) = delete;

  // Runs the loop on the calling thread until Stop(), then ends everything in order. Once.
  void Run();
  // From any thread, not from a signal handler; before Run() it makes Run() end at once.
  void Stop();

  absl::Time Now() const override;
  absl::Time WallNow() const override { return absl::Now(); }
  // After the loop has ended, tasks are dropped unrun.
  void Post(Task task) override;
  TimerId At(absl::Time when, Task task) override;
  void Cancel(TimerId timer) override;
  // If kJobsMax jobs wait, the caller does the work itself: slow, but nothing is lost. What the loop's end overtakes is dropped.
  void RunSlow(Task work, Task done) override;
  void RunBrief(Task work, Task done) override;

  // For its users, on the loop's thread:
  void AddUser(GrpcLoopUser* user) { users_.push_back(user); }
  grpc::CompletionQueue* queue() { return queue_.get(); }
  grpc::ServerBuilder* builder() { return builder_.get(); }              // null unless it serves
  grpc::ServerCompletionQueue* server_queue() { return server_queue_; }  // null unless it serves
  // Counts an operation as outstanding and returns what gRPC is to hand back; for operations on queue().
  void* Start(GrpcTag& tag);
  // Which turn this is: how links tell a quiet spell from a busy one.
  uint64_t turn() const { return turn_; }
  // True once the loop shuts down without Run(): users call back nobody.
  bool silent() const { return silent_; }
  // Makes the loop's thread look around, from any thread.
  void Wake();
  // Ends the loop if Run() has not done so; every user calls it first in its destructor.
  void ShutDown();

 private:
  struct WakeTag final : GrpcTag {
    explicit WakeTag(GrpcEventLoop* owner) : loop(owner) {}
    void OnCompletion(bool ok) override;
    GrpcEventLoop* loop;
  };

  void Turn();
  void HandleCompletions();
  void EndTurn();
  bool RunBriefJobs();
  bool RunTimers();
  bool RunTasks();
  gpr_timespec WaitUntil();
  void WakeLocked();
  bool AllIdle() const;
  void End();
  void CloseQueue();

  std::unique_ptr<grpc::ServerBuilder> builder_;
  std::unique_ptr<grpc::CompletionQueue> queue_;
  grpc::ServerCompletionQueue* server_queue_ = nullptr;
  std::vector<GrpcLoopUser*> users_;
  uint64_t turn_ = 0;
  size_t outstanding_ = 0;
  bool running_ = false, ended_ = false, silent_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<std::thread::id> thread_;  // that of Run()

  std::map<std::pair<absl::Time, TimerId>, Task> timers_;
  absl::flat_hash_map<TimerId, absl::Time> timer_times_;
  TimerId last_timer_ = 0;

  struct Job {
    Task work, done;
  };
  std::vector<Job> brief_;  // of this turn

  std::mutex mutex_;  // guards what follows: it is reached from any thread
  std::vector<Task> tasks_;
  bool wake_pending_ = false, closed_ = false;
  std::atomic<bool> waiting_ = false;  // set only under the mutex: whoever posts a task has to wake the loop
  grpc::Alarm alarm_;
  WakeTag wake_tag_;

  WorkerPool workers_;
};

}  // namespace overlay
