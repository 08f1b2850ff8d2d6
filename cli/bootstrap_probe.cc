// SPDX-License-Identifier: Apache-2.0
#include "cli/bootstrap_probe.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/errors.h"
#include "cli/values.h"

namespace cli {

BootstrapProbe::BootstrapProbe(std::vector<overlay::RpcTarget> targets, circuits::IntroduceFunction introduce,
                               base::EventLoop& loop)
    : targets_(std::move(targets)), introduce_(std::move(introduce)), loop_(loop), timer_(loop, [this] { Ask(); }) {}

void BootstrapProbe::Start(absl::Duration limit, std::function<void(absl::Status)> done) {
  done_ = std::move(done);
  started_ = loop_.Now();
  end_ = started_ + limit;
  Ask();
}

void BootstrapProbe::Ask() {
  if (next_ == targets_.size()) return EndRound();
  introduce_(targets_[next_++],
             [this](const absl::StatusOr<overlay::Introduction>& introduction) { OnAnswer(introduction.status()); });
}

void BootstrapProbe::OnAnswer(const absl::Status& status) {
  if (status.ok()) return done_(status);
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) misfit_ = status;
  Ask();
}

void BootstrapProbe::EndRound() {
  ++rounds_;
  next_ = 0;
  if (!misfit_.ok() || loop_.Now() + kProbePause >= end_) return done_(WhyNot());
  timer_.Reset(loop_.Now() + kProbePause);
}

absl::Status BootstrapProbe::WhyNot() const {
  const std::string where = absl::StrJoin(
      targets_, ", ", [](std::string* out, const overlay::RpcTarget& target) { out->append(ShownAddress(target.address)); });
  if (!misfit_.ok()) {
    return Fail({.exit = Exit::kNetwork,
                 .what = absl::StrCat("no node of this network at ", where),
                 .why = {std::string(misfit_.message())},
                 .fix = {"check the address, and --network"}});
  }
  return Fail({.exit = Exit::kNetwork,
               .what = absl::StrCat("no bootstrap node answered at ", where, " (tried ", rounds_,
                                    rounds_ == 1 ? " time" : " times", " in ", ShownDuration(loop_.Now() - started_), ")"),
               .fix = {"start one in another terminal:   bulbil", "or point to one that runs:       --bootstrap HOST:PORT"}});
}

}  // namespace cli
