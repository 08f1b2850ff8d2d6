// SPDX-License-Identifier: Apache-2.0
// tests/support/manual_loop.h — an event loop under virtual time: nothing happens until the test says so.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "base/event_loop.h"

namespace support {

class ManualLoop : public base::EventLoop {
 public:
  absl::Time Now() const override { return now_; }
  absl::Time WallNow() const override { return now_; }
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId At(absl::Time when, Task task) override {
    timers_.emplace(std::make_pair(when, ++last_timer_), std::move(task));
    return last_timer_;
  }
  void Cancel(TimerId timer) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second == timer) {
        timers_.erase(it);
        return;
      }
    }
  }
  void RunSlow(Task work, Task done) override {
    Post([work = std::move(work), done = std::move(done)] {
      work();
      done();
    });
  }

  // Runs what is queued now, until nothing is.
  void RunReady() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }
  // Advances virtual time, running tasks and timers in order.
  void RunFor(absl::Duration span) {
    const absl::Time end = now_ + span;
    RunReady();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto first = timers_.extract(timers_.begin());
      if (first.key().first > now_) now_ = first.key().first;
      first.mapped()();
      RunReady();
    }
    now_ = end;
  }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  TimerId last_timer_ = 0;
  std::deque<Task> tasks_;
  std::map<std::pair<absl::Time, TimerId>, Task> timers_;
};

}  // namespace support
