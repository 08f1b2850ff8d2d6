// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chord_churn.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/overloaded.h"
#include "overlay/ring_wire.h"

namespace sim {

using overlay::NodeId;
using overlay::Ring;

ChurnWorld::ChurnWorld(ChurnOptions options) : options_(std::move(options)), rng_(options_.seed) {
  if (options_.delays) delays_.emplace(*options_.delays, options_.nodes, rng_);
  IdealRing ideal(options_.nodes, options_.ring, rng_, delays_ ? &*delays_ : nullptr);
  absl::Time until = now_;
  for (size_t i = 0; i < ideal.size(); ++i) {
    Node node;
    node.peer = ideal.peers()[i];
    node.ring = ideal.Settle(i, rng_, now_, &until);
    node.member = true;
    by_point_.emplace(node.peer.point, i);
    members_.insert(members_.end(), node.peer.point);
    live_.push_back(i);
    nodes_.push_back(std::move(node));
  }
  now_ = until;
  for (size_t i = 0; i < nodes_.size(); ++i) {  // each in its own rhythm from here on
    At(now_ + options_.ring.stabilize_max * rng_.Unit(), [this, i] {
      if (nodes_[i].ring != nullptr) Apply(i, nodes_[i].ring->OnTick(now_));
    });
  }
  Poisson(options_.joins_per_s, &ChurnWorld::Join);
  Poisson(options_.departures_per_s, &ChurnWorld::Depart);
  Poisson(options_.lookups_per_s, &ChurnWorld::Lookup);
}

void ChurnWorld::RunFor(absl::Duration span) {
  const absl::Time end = now_ + span;
  while (!events_.empty() && events_.next_at() <= end) {
    absl::AnyInvocable<void()> run = events_.Take(&now_);
    ++counts_.events;
    run();
  }
  now_ = end;
}

ChurnCounts ChurnWorld::TakeCounts() { return std::exchange(counts_, {}); }

size_t ChurnWorld::RightSuccessors() const {
  size_t right = 0;
  for (const NodeId& point : members_) {
    const Ring& ring = *nodes_[by_point_.at(point)].ring;
    const auto next = members_.upper_bound(point);
    const NodeId& successor = next == members_.end() ? *members_.begin() : *next;
    if (!ring.successors().empty() && ring.successors().front().point == successor) ++right;
  }
  return right;
}

// --- What happens to the ring ---

void ChurnWorld::Poisson(double per_second, void (ChurnWorld::*what)()) {
  if (per_second <= 0) return;
  At(now_ + absl::Seconds(-std::log1p(-rng_.Unit()) / per_second), [this, per_second, what] {
    (this->*what)();
    Poisson(per_second, what);
  });
}

size_t ChurnWorld::RandomMember() {
  size_t index = live_[rng_.Below(live_.size())];
  while (!nodes_[index].member) index = live_[rng_.Below(live_.size())];
  return index;
}

void ChurnWorld::Join() {
  const size_t contact = RandomMember(), index = nodes_.size();
  Node node;
  node.peer = nodes_[contact].peer;
  node.peer.point = NodeId::Random(rng_);
  node.peer.node_key.bytes = node.peer.point.bytes;
  node.ring = std::make_unique<Ring>(node.peer, options_.ring, rng_);
  by_point_.emplace(node.peer.point, index);
  live_.push_back(index);
  nodes_.push_back(std::move(node));
  ++counts_.joins;
  Apply(index, nodes_[index].ring->Join({nodes_[contact].peer}, now_));
}

void ChurnWorld::Depart() {
  const size_t index = RandomMember();
  ++counts_.departures;
  if (rng_.Unit() >= options_.leave_share) return Crash(index);
  Apply(index, nodes_[index].ring->Leave(now_));
  At(now_ + 2 * options_.delay_max, [this, index] { Crash(index); });
}

void ChurnWorld::Crash(size_t index) {
  Node& node = nodes_[index];
  if (node.ring == nullptr) return;
  node.ring.reset();
  if (std::exchange(node.member, false)) members_.erase(node.peer.point);
  std::erase(live_, index);
  absl::erase_if(lookups_, [&](const auto& entry) { return entry.second.node == index; });
}

const NodeId& ChurnWorld::TrueOwner(const NodeId& point) const {
  const auto at = members_.lower_bound(point);
  return at == members_.end() ? *members_.begin() : *at;
}

void ChurnWorld::Lookup() {
  const size_t index = RandomMember();
  const NodeId point = NodeId::Random(rng_);
  const overlay::LookupId id = ++last_lookup_;
  lookups_.emplace(id, OpenLookup{index, point, TrueOwner(point), now_});
  Apply(index, nodes_[index].ring->StartLookup(id, point, now_));
}

void ChurnWorld::OnLookupDone(const overlay::LookupDone& done) {
  const auto found = lookups_.find(done.id);
  if (found == lookups_.end()) return;
  const OpenLookup lookup = found->second;
  lookups_.erase(found);
  ++counts_.lookups;
  int timeouts = lookup.timeouts;
  if (!done.result.ok()) {
    ++counts_.failed;
  } else {
    counts_.hops.push_back(done.result->hops);
    size_t at = 0;
    while (at + 1 < done.result->successors.size() && !members_.contains(done.result->successors[at].point)) ++at;
    timeouts += static_cast<int>(at);
    const NodeId& owner = done.result->successors[at].point;
    const bool right = owner == lookup.owner_at_start || owner == TrueOwner(lookup.point);
    if (right && at == 0) ++counts_.right_at_once;
    ++(right ? counts_.right : counts_.wrong);
    const size_t to = by_point_.at(owner);
    if (right && delays_ && to != lookup.node)
      counts_.stretch.push_back(absl::FDivDuration(now_ - lookup.started, delays_->RoundTrip(lookup.node, to)));
  }
  counts_.timeouts.push_back(timeouts);
}

// --- Messages ---

absl::Duration ChurnWorld::Delay(size_t from, size_t to) {
  if (delays_) return delays_->RoundTrip(from, to) / 2;
  return options_.delay_min + (options_.delay_max - options_.delay_min) * rng_.Unit();
}

void ChurnWorld::Apply(size_t index, overlay::RingActions actions) {
  for (overlay::RingAction& action : actions) {
    std::visit(base::Overloaded{[&](overlay::Call& call) { Deliver(index, std::move(call)); },
                                [&](overlay::LookupDone& done) { OnLookupDone(done); },
                                [&](overlay::JoinPrepared&) {
                                  At(now_ + options_.prepare_max * rng_.Unit(), [this, index] {
                                    if (nodes_[index].ring != nullptr) Apply(index, nodes_[index].ring->OnRangeReady(now_));
                                  });
                                },
                                [&](overlay::ContactsWanted&) {
                                  if (!nodes_[index].member)
                                    Apply(index, nodes_[index].ring->AddContacts({nodes_[RandomMember()].peer}, now_));
                                },
                                [](overlay::NeighbourhoodChanged&) {}, [](overlay::StateChanged&) {}},
               action);
  }
  Node& node = nodes_[index];
  if (node.ring == nullptr) return;
  if (node.ring->IsMember() != node.member) {
    node.member = !node.member;
    if (node.member) {
      members_.insert(node.peer.point);
    } else {
      members_.erase(node.peer.point);
    }
  }
  Rearm(index);
}

void ChurnWorld::Deliver(size_t from, overlay::Call call) {
  ++counts_.calls;
  const size_t to = by_point_.at(call.to.point);
  const absl::Time gives_up = now_ + call.timeout;
  At(now_ + Delay(from, to), [this, from, to, gives_up, call = std::move(call)] {
    const overlay::CallId id = call.id;
    if (nodes_[to].ring == nullptr) {
      CountTimeout(from, call.request);
      At(gives_up, [this, from, id] { Reply(from, id, absl::UnavailableError("dead")); });
      return;
    }
    Ring::Answered answered = nodes_[to].ring->OnRequest(call.request, now_);
    if (options_.count_bytes)
      counts_.bytes +=
          overlay::EncodeRequest(call.request, 0).size() + overlay::EncodeReply(answered.reply, nodes_[to].peer).size();
    At(now_ + Delay(to, from),
       [this, from, id, reply = std::move(answered.reply)]() mutable { Reply(from, id, std::move(reply)); });
    Apply(to, std::move(answered.actions));
  });
}

void ChurnWorld::CountTimeout(size_t index, const overlay::RingRequest& request) {
  const auto* ask = std::get_if<overlay::NextHopRequest>(&request);
  if (ask == nullptr) return;
  for (auto& [id, lookup] : lookups_) {
    if (lookup.node == index && lookup.point == ask->point) ++lookup.timeouts;
  }
}

void ChurnWorld::Reply(size_t index, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply) {
  Node& node = nodes_[index];
  if (node.ring != nullptr) Apply(index, node.ring->OnReply(id, std::move(reply), now_));
}

void ChurnWorld::Rearm(size_t index) {
  Node& node = nodes_[index];
  const absl::Time next = std::max(node.ring->NextTick(), now_);
  if (next >= node.tick_at || next == absl::InfiniteFuture()) return;
  node.tick_at = next;
  At(next, [this, index, next] {
    Node& due = nodes_[index];
    if (due.ring == nullptr || due.tick_at != next) return;
    due.tick_at = absl::InfiniteFuture();
    Apply(index, due.ring->OnTick(now_));
  });
}

}  // namespace sim
