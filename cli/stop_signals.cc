// SPDX-License-Identifier: Apache-2.0
#include "cli/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace cli {
namespace {

constexpr long kLookNanoseconds = 100'000'000;  // how long the end of the thread may take

// A blocked signal waits even where it would be ignored.
bool IsIgnored(int number) {
  struct sigaction now {};
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (!IsIgnored(SIGHUP)) sigaddset(&set, SIGHUP);
  return set;
}

sigset_t AllSet() {
  sigset_t set = StopSet();
  sigaddset(&set, SIGUSR1);
  return set;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = AllSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool StopSignalWaits() {
  sigset_t waiting;
  sigpending(&waiting);
  sigset_t stops;
  const sigset_t set = StopSet();
  return sigandset(&stops, &waiting, &set) == 0 && sigisemptyset(&stops) == 0;
}

StopSignals::StopSignals(std::function<void(int)> on_stop, std::function<void()> on_status)
    : thread_([this, on_stop = std::move(on_stop), on_status = std::move(on_status)] {
        const sigset_t set = AllSet();
        const timespec look = {.tv_sec = 0, .tv_nsec = kLookNanoseconds};
        while (!done_) {
          const int number = sigtimedwait(&set, nullptr, &look);
          if (number > 0 && number != SIGUSR1) on_stop(number);
          if (number == SIGUSR1 && on_status) on_status();
        }
      }) {}

StopSignals::~StopSignals() {
  done_ = true;
  thread_.join();
}

}  // namespace cli
