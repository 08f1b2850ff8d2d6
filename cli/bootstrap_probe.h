// SPDX-License-Identifier: Apache-2.0
// cli/bootstrap_probe.h — finds out whether any bootstrap node answers, before a client waits for circuits that cannot come.
//
// Asks the addresses in turn, and again after a pause, until one answers or the time is over. An answer that shows another
// network or a wrong key ends it after the first round: waiting would not help.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "circuits/circuits_driver.h"
#include "overlay/rpc.h"

namespace cli {

inline constexpr absl::Duration kProbeMax = absl::Seconds(10);   // a node that is just starting is up by then
inline constexpr absl::Duration kProbePause = absl::Seconds(1);  // between rounds

class BootstrapProbe {
 public:
  BootstrapProbe(std::vector<overlay::RpcTarget> targets, circuits::IntroduceFunction introduce, base::EventLoop& loop);

  // Once. `done` gets OK, or kNetwork in words (cli.md E2).
  void Start(absl::Duration limit, std::function<void(absl::Status)> done);

 private:
  void Ask();
  void OnAnswer(const absl::Status& status);
  void EndRound();
  absl::Status WhyNot() const;

  const std::vector<overlay::RpcTarget> targets_;
  const circuits::IntroduceFunction introduce_;
  base::EventLoop& loop_;
  base::Timer timer_;
  std::function<void(absl::Status)> done_;
  absl::Time started_, end_;
  size_t next_ = 0;
  int rounds_ = 0;
  absl::Status misfit_;  // of a node that answered and is not one to join
};

}  // namespace cli
