// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chord_ideal.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/overloaded.h"
#include "overlay/routing_table.h"

namespace sim {

using overlay::NodeId;
using overlay::Peer;
using overlay::Ring;

namespace {

constexpr int kSettleTicksMax = 4096;  // some hundred suffice

}  // namespace

IdealRing::IdealRing(size_t count, Ring::Options options, base::Rng& rng, const Delays* delays)
    : peers_(count), options_(options), delays_(delays) {
  for (Peer& peer : peers_) {
    peer.point = NodeId::Random(rng);
    peer.node_key.bytes = peer.point.bytes;
    peer.address = "10.0.0.1:1";
  }
  std::sort(peers_.begin(), peers_.end(), [](const Peer& a, const Peer& b) { return a.point < b.point; });
}

size_t IdealRing::OwnerOf(const NodeId& point) const {
  const auto at =
      std::lower_bound(peers_.begin(), peers_.end(), point, [](const Peer& peer, const NodeId& p) { return peer.point < p; });
  return at == peers_.end() ? 0 : static_cast<size_t>(at - peers_.begin());
}

size_t IdealRing::IndexOf(const NodeId& point) const {
  const size_t index = OwnerOf(point);
  CHECK(peers_[index].point == point);
  return index;
}

size_t IdealRing::Skip(size_t index, bool forward) const {
  if (outside_ != index) return index;
  return forward ? After(index) : Before(index);
}

std::vector<Peer> IdealRing::Walk(size_t from, bool forward, size_t count) const {
  std::vector<Peer> walk;
  const size_t others = size() - 1 - (outside_ ? 1 : 0);
  size_t at = from;
  while (walk.size() < std::min(count, others)) {
    at = Skip(forward ? After(at) : Before(at), forward);
    walk.push_back(peers_[at]);
  }
  return walk;
}

overlay::StateReply IdealRing::State(size_t index) const {
  const auto r = static_cast<size_t>(options_.successor_count);
  std::vector<Peer> after = Walk(index, /*forward=*/true, std::max(r, overlay::kTableNeighbours));
  overlay::StateReply state;
  state.member = true;
  state.predecessors = Walk(index, /*forward=*/false, overlay::kTableNeighbours);
  if (!state.predecessors.empty()) state.predecessor = state.predecessors.front();
  state.storing_predecessors = Walk(index, /*forward=*/false, options_.storing_count);
  state.storing_successors = Walk(index, /*forward=*/true, options_.storing_count);
  if (after.size() > r) state.more_successors.assign(after.begin() + static_cast<std::ptrdiff_t>(r), after.end());
  after.resize(std::min(after.size(), r));
  state.successors = std::move(after);
  return state;
}

overlay::NextHopReply IdealRing::NextHop(size_t index, const NodeId& point) const {
  overlay::NextHopReply reply;
  reply.member = true;
  const size_t before = Skip(Before(OwnerOf(point)), /*forward=*/false);
  if (before == index) {
    reply.found = true;
    reply.owners = Walk(index, /*forward=*/true, static_cast<size_t>(options_.successor_count));
    reply.storing = Walk(index, /*forward=*/true, options_.storing_count);
  } else {
    reply.closer = {peers_[before]};
  }
  return reply;
}

overlay::RingReply IdealRing::Answer(const Peer& asked, const overlay::RingRequest& request) const {
  const size_t index = IndexOf(asked.point);
  return std::visit(
      base::Overloaded{[&](const overlay::StateRequest&) -> overlay::RingReply { return State(index); },
                       [&](const overlay::NextHopRequest& ask) -> overlay::RingReply { return NextHop(index, ask.point); },
                       [](const overlay::RectifyRequest&) -> overlay::RingReply { return overlay::RectifyReply{}; },
                       [](const overlay::LeavingRequest&) -> overlay::RingReply { return overlay::LeavingReply{}; },
                       [](const overlay::HealthRequest&) -> overlay::RingReply { return overlay::HealthReply{true}; }},
      request);
}

void IdealRing::Pump(Ring& ring, overlay::RingActions actions, absl::Time& now) {
  std::deque<overlay::RingAction> queue(std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
  while (!queue.empty()) {
    const overlay::RingAction action = std::move(queue.front());
    queue.pop_front();
    overlay::RingActions next;
    if (ring.IsMember()) outside_.reset();
    if (const auto* call = std::get_if<overlay::Call>(&action)) {
      if (delays_ != nullptr) now += delays_->RoundTrip(IndexOf(ring.self().point), IndexOf(call->to.point));
      next = ring.OnReply(call->id, Answer(call->to, call->request), now);
    }
    if (std::holds_alternative<overlay::JoinPrepared>(action)) next = ring.OnRangeReady(now);
    queue.insert(queue.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
  }
}

// How many exponents have a finger: those the list does not cover and whose owner is somebody else, ahead of us.
size_t IdealRing::FingersOf(const Ring& ring) const {
  const NodeId& self = ring.self().point;
  size_t count = 0;
  for (int exponent = 255; exponent >= 0; --exponent) {
    const NodeId ideal = self.PlusPowerOfTwo(exponent);
    if (overlay::InHalfOpen(ideal, self, ring.successors().back().point)) break;
    const NodeId& owner = peers_[OwnerOf(ideal)].point;
    if (owner != self && overlay::InHalfOpen(ideal, self, owner)) ++count;
  }
  return count;
}

std::unique_ptr<Ring> IdealRing::Settle(size_t index, base::Rng& rng, absl::Time now, absl::Time* until) {
  auto ring = std::make_unique<Ring>(peers_[index], options_, rng);
  outside_ = index;
  Pump(*ring, ring->Join({peers_[Before(index)]}, now), now);
  outside_.reset();
  CHECK(ring->IsMember());
  const bool is_closed = static_cast<int>(size()) <= options_.successor_count;
  const auto has_all = [&] {
    const std::vector<Peer> far = ring->FarSuccessors();
    const Peer& last = far.size() > ring->successors().size() ? far.back() : ring->successors().back();
    return ring->fingers().entries().size() >= FingersOf(*ring) && ring->learned().Missing(last.point) == 0;
  };
  for (int ticks = 0; !is_closed && !has_all(); ++ticks) {
    CHECK(ticks < kSettleTicksMax);
    now = std::max(now, ring->NextTick());
    Pump(*ring, ring->OnTick(now), now);
  }
  *until = std::max(*until, now);
  return ring;
}

}  // namespace sim
