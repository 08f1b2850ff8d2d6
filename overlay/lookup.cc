// SPDX-License-Identifier: Apache-2.0
#include "overlay/lookup.h"

#include <algorithm>

#include "overlay/successor_list.h"

namespace overlay {
namespace {

// True if a is the better one to ask. Who stands on the point itself is its owner, and knows least about who comes before it.
bool IsCloser(const NodeId& a, const NodeId& b, const NodeId& point) {
  if (a == point || b == point) return b == point && a != point;
  return InOpen(a, b, point);
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
  if (IsDecided(nobody ? nullptr : &*best)) return std::nullopt;
  Peer next = std::move(*best);
  candidates_.erase(best);
  asked_.push_back(next.point);
  return next;
}

// With a doubted answer, or the list of the closest that answered, in hand: whether that is the result. `best` is the best one
// left.
bool Lookup::IsDecided(const Peer* best) {
  std::optional<LookupResult>& known = doubted_ ? doubted_ : beyond_;
  if (known) {
    if (best != nullptr && InOpen(best->point, known->predecessor.point, point_)) return false;
    const bool doubt = IsDoubtful(known->predecessor.point, known->owner.point);
    if (best != nullptr && doubt && doubt_asks_++ < kDoubtAsksMax) return false;
    known->hops = hops_;
    result_ = *std::move(known);
  } else if (best == nullptr) {
    result_ = absl::UnavailableError("nobody left to ask");
  }
  return result_.has_value();
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
  const bool doubt = answer.found && IsDoubtful(from.point, answer.owners.front().point);
  std::optional<LookupResult>& kept = doubt ? doubted_ : beyond_;
  if ((doubt || !answer.found) && kept && !IsCloser(from.point, kept->predecessor.point, point_)) return;
  // In order from the owner round to who says so, or else no further.
  for (size_t i = 1; i < answer.owners.size(); ++i) {
    if (!InOpen(answer.owners[i].point, answer.owners[i - 1].point, from.point)) answer.owners.resize(i);
  }
  LookupResult result;
  result.owner = answer.owners.front();
  result.successors = std::move(answer.owners);
  result.storing = std::move(answer.storing);
  result.predecessor = from;
  result.hops = hops_;
  if (answer.found && !doubt) {
    result_ = std::move(result);
  } else {
    kept = std::move(result);
  }
}

}  // namespace overlay
