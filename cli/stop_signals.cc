// SPDX-License-Identifier: Apache-2.0
#include "cli/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace cli {
namespace {

constexpr long kLookNanoseconds = 100'000'000;  // how long the end of the thread may take

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool StopSignalWaits() {
  sigset_t waiting;
  sigpending(&waiting);
  return sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1;
}

StopSignals::StopSignals(std::function<void(int)> on_signal)
    : thread_([this, on_signal = std::move(on_signal)] {
        const sigset_t set = StopSet();
        const timespec look = {.tv_sec = 0, .tv_nsec = kLookNanoseconds};
        while (!done_) {
          if (const int signal_number = sigtimedwait(&set, nullptr, &look); signal_number > 0) on_signal(signal_number);
        }
      }) {}

StopSignals::~StopSignals() {
  done_ = true;
  thread_.join();
}

}  // namespace cli
