// SPDX-License-Identifier: Apache-2.0
#include "circuits/point_lookup.h"

#include <algorithm>
#include <utility>

namespace circuits {

using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;

void PointLookup::Hear(const Peer& peer, const keys::PublicKey& named_by) {
  if (put_aside_.contains(peer.point)) return;
  const auto keep = [&](std::vector<Known>& nearest, NodeId distance) {
    const auto at = std::lower_bound(nearest.begin(), nearest.end(), distance,
                                     [](const Known& known, const NodeId& d) { return known.distance < d; });
    if (at != nearest.end() && at->distance == distance) return;
    if (at == nearest.end() && nearest.size() >= kNearestKept) return;
    nearest.insert(at, {distance, peer, named_by});
    if (nearest.size() > kNearestKept) nearest.pop_back();
  };
  keep(after_, overlay::Distance(options_.point, peer.point));
  if (peer.point != options_.point) keep(before_, overlay::Distance(peer.point, options_.point));
}

void PointLookup::Learn(const RoutingTable& table) {
  if (!CheckTable(table, options_.mean_gap).ok()) return;
  const keys::PublicKey& owner = table.owner.node_key;
  Hear(table.owner, owner);
  for (const Peer& peer : table.successors) Hear(peer, owner);
  for (const Peer& peer : table.predecessors) Hear(peer, owner);
  for (const overlay::Finger& finger : table.fingers) Hear(finger.peer, owner);
  const bool is_new = tables_.insert_or_assign(table.owner.point, table).second;
  for (Known& known : before_) {
    if (known.peer.point == table.owner.point) known.asked = true;
  }
  // Only who stands near x can tell who comes after it.
  before_heard_ += is_new && FirstAtOrAfter(options_.point, table) != nullptr;
}

void PointLookup::OnTable(const RoutingTable& table) {
  if (!fetching_.has_value() || table.owner.point != fetching_->point || !CheckTable(table, options_.mean_gap).ok())
    return OnNoTable();
  fetching_.reset();
  Learn(table);
}

void PointLookup::OnNoTable() {
  if (!fetching_.has_value()) return;
  fetching_.reset();
  failed_ = needed_;
}

void PointLookup::Move(NodeKeys never) {
  options_.never = std::move(never);
  if (!fetching_.has_value()) return;
  const NodeId point = std::exchange(fetching_, std::nullopt)->point;
  for (Known& known : before_) known.asked &= known.peer.point != point;
  if (witness_ == point) witness_.reset(), witnesses_.clear();
}

void PointLookup::Restart(NodeKeys never) {
  Move(std::move(never));
  fetches_ = 0;
  failed_ = false;
  witnesses_.clear();
  for (Known& known : before_) known.asked = tables_.contains(known.peer.point);
}

PointStep PointLookup::Fetch(const Peer& peer, const keys::PublicKey& named_by) {
  if (++fetches_ > kFetchesMax) return PointFailed{absl::UnavailableError("too many tables")};
  fetching_ = peer;
  return FetchTable{peer, named_by};
}

// The nearest member before x that was not asked yet.
std::optional<PointStep> PointLookup::AskBefore() {
  for (Known& known : before_) {
    if (known.asked || options_.never.contains(known.peer.node_key)) continue;
    known.asked = true;
    needed_ = false;
    return Fetch(known.peer, known.named_by);
  }
  return std::nullopt;
}

PointStep PointLookup::Next() {
  if (failed_) return PointFailed{absl::UnavailableError("a table could not be had over this circuit")};
  const bool candidate_heard = !after_.empty() && tables_.contains(after_.front().peer.point);
  const bool nearest_unasked =
      !candidate_heard && !before_.empty() && !before_.front().asked && !options_.never.contains(before_.front().peer.node_key);
  if (before_heard_ < before_wanted_ || nearest_unasked) {
    if (std::optional<PointStep> step = AskBefore()) return *std::move(step);
  }
  if (after_.empty() || before_heard_ == 0) return PointFailed{absl::UnavailableError("nobody near the point could be asked")};
  return CheckCandidate(after_.front());
}

PointStep PointLookup::CheckCandidate(const Known& candidate) {
  const Peer peer = candidate.peer;
  if (options_.never.contains(peer.node_key)) {
    return PointFailed{absl::FailedPreconditionError("the successor stands on this circuit")};
  }
  const auto held = tables_.find(peer.point);
  if (held == tables_.end()) {
    needed_ = true;
    return Fetch(peer, candidate.named_by);
  }
  if (!CheckClaim(options_.point, held->second, options_.mean_gap).ok()) return PutAside(peer.point);
  if (witnessed_ != peer.point) {
    witnessed_ = peer.point;
    witnesses_.clear();
    witness_.reset();
  }
  return AskWitness(held->second);
}

PointStep PointLookup::AskWitness(const RoutingTable& candidate) {
  while (true) {
    if (witness_.has_value()) {
      const auto said = tables_.find(*std::exchange(witness_, std::nullopt));
      if (said != tables_.end() && Agrees(candidate, said->second)) return Found(candidate, said->second);
    }
    NodeKeys not_these = options_.never;
    not_these.insert(witnesses_.begin(), witnesses_.end());
    const std::optional<Peer> witness = ChooseWitness(candidate, not_these, rng_);
    if (witnesses_.size() >= kWitnessesMax || !witness.has_value()) return PutAside(candidate.owner.point);
    witnesses_.insert(witness->node_key);
    witness_ = witness->point;
    if (tables_.contains(witness->point)) continue;
    needed_ = false;
    return Fetch(*witness, candidate.owner.node_key);
  }
}

bool PointLookup::Agrees(const RoutingTable& candidate, const RoutingTable& witness) const {
  const Peer* first = FirstAtOrAfter(options_.point, witness);
  return first != nullptr && first->point == candidate.owner.point;
}

PointFound PointLookup::Found(const RoutingTable& candidate, const RoutingTable& witness) const {
  const auto at = std::find(witness.successors.begin(), witness.successors.end(), candidate.owner);
  const NodeId& before = at == witness.successors.begin() ? witness.owner.point : std::prev(at)->point;
  const double own_word = overlay::DistanceShare(candidate.predecessors.front().point, candidate.owner.point);
  return {candidate, std::max(own_word, overlay::DistanceShare(before, candidate.owner.point))};
}

// It does not hold: somebody hid the true one, or the ring moved. One more of those before x is asked.
PointStep PointLookup::PutAside(const NodeId& candidate) {
  put_aside_.insert(candidate);
  std::erase_if(after_, [&](const Known& known) { return known.peer.point == candidate; });
  before_wanted_ = before_heard_ + 1;
  return Next();
}

}  // namespace circuits
