// SPDX-License-Identifier: Apache-2.0
// cli/stop_signals.h — SIGTERM and SIGINT as calls, on a thread of their own, where anything may be called.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace cli {

// Blocks both signals for this thread and all it starts: call first in main's thread, before any other is started.
void BlockStopSignals();

// True if one of them came while they are blocked and nobody has taken it yet.
bool StopSignalWaits();

class StopSignals {
 public:
  // `on_signal`, with the signal's number, for each one that comes, until this object goes.
  explicit StopSignals(std::function<void(int)> on_signal);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace cli
