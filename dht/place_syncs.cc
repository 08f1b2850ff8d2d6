// SPDX-License-Identifier: Apache-2.0
#include "dht/place_syncs.h"

#include <algorithm>

namespace dht {

using overlay::NodeId;
using overlay::Peer;

namespace {

// The arc that holds one point only.
overlay::RingRange OnlyPoint(const NodeId& point) {
  NodeId before = point;
  for (size_t i = before.bytes.size(); i-- > 0;) {
    if (before.bytes[i]-- != 0) break;
  }
  return {.after = before, .last = point};
}

}  // namespace

void PlaceSyncs::Start(RequestId request, const NodeId& point, bool serving, const Moment& moment) {
  const bool can_answer = serving && replicas_.IsResponsible(point) && waiting_ < kRoundsMax;
  if (!can_answer) return out_.Add(PlaceSynced{request, /*complete=*/false});
  const auto fresh = fresh_.find(point);
  if (fresh != fresh_.end() && fresh->second > moment.now) return out_.Add(PlaceSynced{request, /*complete=*/true});
  ++waiting_;
  const auto [entry, is_new] = places_.try_emplace(point);
  entry->second.waiters.push_back(request);
  if (!is_new) return;
  entry->second.deadline = moment.now + kRoundTimeout;
  const uint64_t generation = generations_[point] = out_.NextId();
  for (const Peer& peer : replicas_.Responsible(point)) {
    if (peer.SameProcess(*replicas_.self())) continue;
    ++places_.at(point).running;
    auto done = [this, point, generation](const SyncOutcome& outcome, const Moment& then) {
      OnDone(point, generation, outcome.IsWitness(), then);
    };
    sync_.Start({.from = peer, .range = OnlyPoint(point)}, std::move(done), moment);
  }
  if (places_.at(point).running == 0) Finish(point, moment);
}

void PlaceSyncs::OnDone(const NodeId& point, uint64_t generation, bool by_witness, const Moment& moment) {
  const auto found = generations_.find(point);
  if (found == generations_.end() || found->second != generation) return;
  Place& place = places_.at(point);
  --place.running;
  if (by_witness) ++place.witnesses;
  if (place.running == 0) return Finish(point, moment);
  if (place.witnesses >= witness_.OthersNeeded(point, moment.now))
    place.deadline = std::min(place.deadline, moment.now + kRoundGrace);
}

void PlaceSyncs::Finish(const NodeId& point, const Moment& moment) {
  auto node = places_.extract(point);
  generations_.erase(point);
  const Place& place = node.mapped();
  const bool complete = place.witnesses >= witness_.OthersNeeded(point, moment.now);
  if (fresh_.size() >= kFreshPlacesMax) fresh_.clear();
  if (complete) fresh_[point] = moment.now + kPlaceFresh;
  waiting_ -= place.waiters.size();
  for (const RequestId waiter : place.waiters) out_.Add(PlaceSynced{waiter, complete});
}

void PlaceSyncs::OnTick(const Moment& moment) {
  std::vector<NodeId> due;
  for (const auto& [point, place] : places_) {
    if (place.deadline <= moment.now) due.push_back(point);
  }
  std::sort(due.begin(), due.end());
  for (const NodeId& point : due) Finish(point, moment);
}

absl::Time PlaceSyncs::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [point, place] : places_) next = std::min(next, place.deadline);
  return next;
}

}  // namespace dht
