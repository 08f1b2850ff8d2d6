// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chord_still.h"

#include <deque>
#include <utility>

namespace sim {

using overlay::NodeId;
using overlay::Peer;
using overlay::Ring;

namespace {

const absl::Time kStill = absl::FromUnixSeconds(1'795'000'000);  // before anything is due

}  // namespace

StillRing::StillRing(size_t count, Ring::Options options, base::Rng& rng) : ideal_(count, options, rng), alive_(count, true) {
  absl::Time until = kStill;
  for (size_t i = 0; i < count; ++i) rings_.push_back(ideal_.Settle(i, rng, kStill, &until));
}

StillLookup StillRing::Lookup(size_t from, const NodeId& point, bool learn) {
  if (learn) return Run(*rings_[from], point);
  Ring copy(*rings_[from]);
  return Run(copy, point);
}

StillLookup StillRing::Run(Ring& asker, const NodeId& point) {
  StillLookup lookup;
  overlay::RingActions actions = asker.StartLookup(1, point, kStill);
  std::deque<overlay::RingAction> queue(std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
  while (!queue.empty()) {
    const overlay::RingAction action = std::move(queue.front());
    queue.pop_front();
    if (const auto* done = std::get_if<overlay::LookupDone>(&action)) {
      if (done->result.ok()) Judge(*done->result, point, lookup);
      continue;
    }
    const auto* call = std::get_if<overlay::Call>(&action);
    if (call == nullptr || !std::holds_alternative<overlay::NextHopRequest>(call->request)) continue;  // maintenance stands still
    const size_t to = ideal_.IndexOf(call->to.point);
    absl::StatusOr<overlay::RingReply> reply = absl::UnavailableError("dead");
    if (alive_[to]) {
      reply = rings_[to]->OnRequest(call->request, kStill).reply;
      lookup.path.push_back(to);
    } else {
      ++lookup.timeouts;
    }
    overlay::RingActions next = asker.OnReply(call->id, std::move(reply), kStill);
    queue.insert(queue.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
  }
  return lookup;
}

StillLookup StillRing::LookupPlain(size_t from, const NodeId& point) const {
  StillLookup lookup;
  overlay::NextHopReply first = PlainAnswer(from, point);
  if (first.found) {
    lookup.right = alive_[ideal_.OwnerOf(point)];
    return lookup;
  }
  overlay::Lookup core(point, ideal_.peers()[from].point);
  core.AddCandidates(first.closer);
  while (const std::optional<Peer> next = core.Next()) {
    const size_t to = ideal_.IndexOf(next->point);
    if (!alive_[to]) ++lookup.timeouts;
    core.OnAnswer(*next,
                  alive_[to] ? absl::StatusOr<overlay::NextHopReply>(PlainAnswer(to, point)) : absl::UnavailableError("dead"));
  }
  if (core.result()->ok()) Judge(**core.result(), point, lookup);
  return lookup;
}

overlay::NextHopReply StillRing::PlainAnswer(size_t index, const NodeId& point) const {
  const Ring& ring = *rings_[index];
  const NodeId& self = ring.self().point;
  const Peer& successor = ring.successors().front();
  overlay::NextHopReply reply;
  reply.member = true;
  if (overlay::InHalfOpen(point, self, successor.point)) {
    reply.found = true;
    reply.owners = {successor};
    return reply;
  }
  reply.closer = {successor};
  for (const overlay::Finger& finger : ring.fingers().entries()) {
    if (overlay::InOpen(finger.peer.point, self, point)) reply.closer = {finger.peer};  // exponents rise
  }
  return reply;
}

void StillRing::Judge(const overlay::LookupResult& found, const NodeId& point, StillLookup& lookup) const {
  lookup.hops = found.hops;
  for (const Peer& peer : found.successors) {
    const size_t index = ideal_.IndexOf(peer.point);
    if (alive_[index]) {
      lookup.right = index == LiveOwnerOf(point);
      if (lookup.path.empty() || lookup.path.back() != index) lookup.path.push_back(index);
      return;
    }
    ++lookup.owner_timeouts;
  }
}

size_t StillRing::LiveOwnerOf(const NodeId& point) const {
  size_t index = ideal_.OwnerOf(point);
  while (!alive_[index]) index = ideal_.After(index);
  return index;
}

}  // namespace sim
