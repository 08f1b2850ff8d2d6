// SPDX-License-Identifier: Apache-2.0
// cli/stop_signals.h — signals as calls, on a thread of their own, where anything may be called: SIGTERM, SIGINT and SIGHUP (a
// terminal that is closed) ask for an end, SIGUSR1 for a line of status. A SIGHUP that is ignored, as under nohup, stays ignored.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace cli {

// Blocks these signals for this thread and all it starts: call first in main's thread, before any other is started.
void BlockStopSignals();

// True if one that asks for an end came while they are blocked and nobody has taken it yet.
bool StopSignalWaits();

class StopSignals {
 public:
  // `on_stop`, with the signal's number, for each one that asks for an end, and `on_status`, if there is one, until this object
  // goes.
  explicit StopSignals(std::function<void(int)> on_stop, std::function<void()> on_status = nullptr);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace cli
