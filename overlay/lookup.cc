// SPDX-License-Identifier: Apache-2.0
#include "overlay/lookup.h"

#include <algorithm>

#include "overlay/successor_list.h"

namespace overlay {
namespace {

// True if a is the better one to ask. Who stands on the point itself is its owner, and knows least about who comes before it.
bool IsCloser(const NodeId& a, const NodeId& b, const NodeId& point) {
  if (a == point || b == point) return b == point && a != point;
  return Distance(a, point) < Distance(b, point);
}

}  // namespace

void Lookup::AddCandidates(const std::vector<Peer>& peers) {
  for (const Peer& peer : peers) Add(peer);
}

void Lookup::Begin(const Peer& self, NextHopReply own) {
  AddCandidates(own.closer);
  TakeOwners(self, own);
}

void Lookup::Add(const Peer& peer) {
  if (peer.point == asker_ || std::find(asked_.begin(), asked_.end(), peer.point) != asked_.end()) return;
  if (ContainsPoint(candidates_, peer.point)) return;
  candidates_.push_back(peer);
  if (candidates_.size() <= kLookupCandidatesMax) return;
  candidates_.erase(std::max_element(candidates_.begin(), candidates_.end(),
                                     [&](const Peer& a, const Peer& b) { return IsCloser(a.point, b.point, point_); }));
}

std::optional<Peer> Lookup::Next() {
  if (result_) return std::nullopt;
  const auto best = std::min_element(candidates_.begin(), candidates_.end(),
                                     [&](const Peer& a, const Peer& b) { return IsCloser(a.point, b.point, point_); });
  const bool nobody = best == candidates_.end() || asked_.size() >= kLookupAsksMax;
  if (beyond_ && (nobody || !InOpen(best->point, beyond_->predecessor.point, point_))) {
    beyond_->hops = hops_;
    result_ = *std::move(beyond_);
    return std::nullopt;
  }
  if (nobody) {
    result_ = absl::UnavailableError("nobody left to ask");
    return std::nullopt;
  }
  Peer next = std::move(*best);
  candidates_.erase(best);
  asked_.push_back(next.point);
  return next;
}

void Lookup::OnAnswer(const Peer& from, absl::StatusOr<NextHopReply> answer) {
  if (result_ || !answer.ok() || !answer->member) return;
  ++hops_;
  TakeOwners(from, *answer);
  if (result_) return;
  for (const Peer& peer : answer->closer) {
    if (InOpen(peer.point, from.point, point_)) Add(peer);
  }
}

void Lookup::TakeOwners(const Peer& from, NextHopReply& answer) {
  if (answer.owners.empty() || !InHalfOpen(point_, from.point, answer.owners.front().point)) return;
  if (!answer.found && beyond_ && !IsCloser(from.point, beyond_->predecessor.point, point_)) return;
  LookupResult result;
  result.owner = answer.owners.front();
  result.successors = std::move(answer.owners);
  result.storing = std::move(answer.storing);
  result.predecessor = from;
  result.hops = hops_;
  if (answer.found) {
    result_ = std::move(result);
  } else {
    beyond_ = std::move(result);
  }
}

}  // namespace overlay
