// SPDX-License-Identifier: Apache-2.0
#include "dht/repairer.h"

#include <algorithm>

namespace dht {

void Repairer::OnNeighbourhood(const Moment& moment) {
  if (running_ != 0) sync_.Cancel(running_);
  running_ = 0;
  plan_.clear();
  next_round_ = moment.now + kRepairAfterChange * (1 + rng_.Unit() / 2);
}

void Repairer::OnTick(const Moment& moment) {
  if (moment.now < next_round_) return;
  next_round_ = absl::InfiniteFuture();
  plan_ = replicas_.RepairPlan();
  std::reverse(plan_.begin(), plan_.end());
  round_is_clean_ = !plan_.empty();
  ++rounds_;
  Continue(moment);
}

void Repairer::Continue(const Moment& moment) {
  if (plan_.empty()) return EndRound(moment);
  const SharedRange next = plan_.back();
  plan_.pop_back();
  auto done = [this, range = next.range](const SyncOutcome& outcome, const Moment& then) {
    running_ = 0;
    round_is_clean_ &= outcome.status.ok();
    if (outcome.by_witness) witness_.Confirm(range, outcome.doubts);
    Continue(then);
  };
  const Compare compare = rounds_ % kAuditEvery == 0 ? Compare::kRanges : Compare::kSymbols;
  running_ = sync_.Start({.from = next.peer, .range = next.range, .compare = compare}, std::move(done), moment);
}

void Repairer::EndRound(const Moment& moment) {
  if (round_is_clean_) healed_();
  next_round_ = moment.now + kRepairEvery * (0.8 + 0.4 * rng_.Unit());
}

void Repairer::StartJoin(const overlay::Neighbourhood& future, size_t replica_count, const Moment& moment) {
  holders_.clear();
  for (const auto* list : {&future.successors, &future.predecessors}) {
    for (const overlay::Peer& peer : *list) {
      if (!peer.SameProcess(future.self) && !ContainsProcess(holders_, peer.node_key)) holders_.push_back(peer);
    }
  }
  join_asked_ = 0;
  if (holders_.empty() || future.self.role != overlay::Role::kStoring) return out_.Add(JoinReady{absl::OkStatus()});
  join_range_ = overlay::HeldRange(future, replica_count);
  join_parts_ = PredecessorRanges(future, replica_count);
  witness_.Expect(future.self.index, join_range_, moment.now);
  ContinueJoin(moment);
}

void Repairer::ContinueJoin(const Moment& moment) {
  if (join_asked_ == kJoinPasses * holders_.size()) {
    return out_.Add(JoinReady{absl::UnavailableError("no holder of this node's range answered")});
  }
  const overlay::Peer& holder = holders_[join_asked_++ % holders_.size()];
  auto done = [this](const SyncOutcome& outcome, const Moment& then) {
    if (outcome.by_witness) witness_.Confirm(join_range_, outcome.doubts);
    // Without space a node can still serve what fits; repair goes on trying.
    if (outcome.status.ok() || absl::IsResourceExhausted(outcome.status)) return out_.Add(JoinReady{absl::OkStatus()});
    ContinueJoin(then);
  };
  sync_.Start({.from = holder, .range = join_range_, .compare = Compare::kNothing, .confirm = join_parts_}, std::move(done),
              moment);
}

}  // namespace dht
