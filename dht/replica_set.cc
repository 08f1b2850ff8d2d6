// SPDX-License-Identifier: Apache-2.0
#include "dht/replica_set.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "base/byte_reader.h"
#include "overlay/successor_list.h"

namespace dht {

using overlay::Neighbourhood;
using overlay::NodeId;
using overlay::Peer;
using overlay::RingRange;

bool ContainsProcess(const std::vector<Peer>& peers, const keys::PublicKey& node_key) {
  return std::any_of(peers.begin(), peers.end(), [&](const Peer& peer) { return peer.node_key == node_key; });
}

std::vector<RingRange> PredecessorRanges(const Neighbourhood& neighbourhood, size_t count) {
  std::vector<RingRange> ranges;
  absl::flat_hash_set<keys::PublicKey> others;
  NodeId last = neighbourhood.self.point;
  for (const Peer& predecessor : neighbourhood.predecessors) {
    ranges.push_back({.after = predecessor.point, .last = last});
    last = predecessor.point;
    if (predecessor.SameProcess(neighbourhood.self)) return ranges;  // what lies before is that virtual node's
    others.insert(predecessor.node_key);
    if (others.size() == count) return ranges;
  }
  ranges.push_back({.after = neighbourhood.self.point, .last = last});  // once around the ring
  return ranges;
}

bool ReplicaSet::Update(const Neighbourhood& neighbourhood) {
  Standing standing{neighbourhood, neighbourhood.member};
  standing.around.member = true;
  const auto [entry, is_new] = by_index_.try_emplace(neighbourhood.self.index, standing);
  if (is_new) return true;
  if (entry->second.around == standing.around && entry->second.member == standing.member) return false;
  entry->second = std::move(standing);
  return true;
}

bool ReplicaSet::IsMember() const {
  return std::any_of(by_index_.begin(), by_index_.end(), [](const auto& entry) { return entry.second.member; });
}

bool ReplicaSet::IsStoring() const { return self() != nullptr && self()->role == overlay::Role::kStoring; }

const Peer* ReplicaSet::self() const { return by_index_.empty() ? nullptr : &by_index_.begin()->second.around.self; }

// Those that stand on the ring; all if none does.
std::vector<const ReplicaSet::Standing*> ReplicaSet::Standings() const {
  std::vector<const Standing*> standings;
  const bool is_member = IsMember();
  for (const auto& [index, standing] : by_index_) {
    if (standing.member || !is_member) standings.push_back(&standing);
  }
  return standings;
}

std::vector<Peer> ReplicaSet::Responsible(const NodeId& point, size_t count) const {
  for (const Standing* standing : Standings()) {
    std::vector<Peer> peers = overlay::ResponsibleFor(point, standing->around, count);
    if (!peers.empty()) return peers;
  }
  return {};
}

bool ReplicaSet::IsResponsible(const NodeId& point, size_t count) const {
  if (!IsStoring()) return false;
  for (const auto& [index, standing] : by_index_) {
    if (!standing.member) continue;
    if (ContainsProcess(overlay::ResponsibleFor(point, standing.around, count), standing.around.self.node_key)) return true;
  }
  return false;
}

std::optional<RingRange> ReplicaSet::OutsideRange() const {
  if (by_index_.empty()) return std::nullopt;
  const Neighbourhood& first = by_index_.begin()->second.around;
  if (by_index_.size() > 1 || !IsStoring()) return RingRange{first.self.point, first.self.point};
  const RingRange held = overlay::HeldRange(first, replica_count_);
  if (held.IsWholeCircle()) return std::nullopt;
  return RingRange{.after = held.last, .last = held.after};
}

std::vector<RingRange> ReplicaSet::OwnedRanges() const {
  std::vector<RingRange> owned;
  for (const auto& [index, standing] : by_index_) {
    if (standing.member && IsStoring()) owned.push_back(PredecessorRanges(standing.around, 1).front());
  }
  return owned;
}

std::vector<RingRange> ReplicaSet::ForeignRanges() const {
  if (!IsMember()) return {};
  std::vector<NodeId> ends;  // between two of them one set of processes is responsible
  for (const Peer* peer : KnownStoring()) ends.push_back(peer->point);
  if (ends.empty()) return {{.after = self()->point, .last = self()->point}};
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  std::vector<RingRange> foreign;
  for (size_t i = 0; i < ends.size(); ++i) {
    const NodeId& before = ends[(i + ends.size() - 1) % ends.size()];
    if (!IsResponsible(ends[i])) foreign.push_back({.after = before, .last = ends[i]});
  }
  return foreign;
}

// Of the holders of a range: who stands next to this virtual node, the successor first, and who comes next to this process among
// the holders. With one virtual node per process that is the same.
std::vector<Peer> ReplicaSet::NeighboursIn(const Neighbourhood& neighbourhood, const RingRange& range) const {
  const std::vector<Peer> holders = overlay::ResponsibleFor(range.last, neighbourhood, replica_count_);
  const Peer& self = neighbourhood.self;
  std::vector<Peer> found;
  const auto add = [&](const Peer& peer) {
    if (!peer.SameProcess(self) && ContainsProcess(holders, peer.node_key) && !ContainsProcess(found, peer.node_key)) {
      found.push_back(peer);
    }
  };
  for (const auto* list : {&neighbourhood.successors, &neighbourhood.predecessors}) {
    const auto other = std::find_if(list->begin(), list->end(), [&](const Peer& peer) { return !peer.SameProcess(self); });
    if (other != list->end()) add(*other);
  }
  for (size_t i = 0; i + 1 < holders.size(); ++i) {
    if (holders[i].SameProcess(self)) add(holders[i + 1]);
    if (holders[i + 1].SameProcess(self)) add(holders[i]);
  }
  return found;
}

std::vector<SharedRange> ReplicaSet::RepairPlan() const {
  std::vector<SharedRange> plan;
  for (const auto& [index, standing] : by_index_) {
    if (!standing.member || !IsStoring()) continue;
    for (const RingRange& range : PredecessorRanges(standing.around, replica_count_)) {
      for (Peer& neighbour : NeighboursIn(standing.around, range)) plan.push_back({std::move(neighbour), range});
    }
  }
  return plan;
}

std::vector<const Peer*> ReplicaSet::KnownStoring() const {
  std::vector<const Peer*> known;
  for (const Standing* standing : Standings()) {
    const Neighbourhood& neighbourhood = standing->around;
    if (IsStoring()) known.push_back(&neighbourhood.self);
    for (const auto* list : {&neighbourhood.successors, &neighbourhood.predecessors}) {
      for (const Peer& peer : *list) known.push_back(&peer);
    }
  }
  return known;
}

uint64_t PointPrefix(const NodeId& point) { return base::ByteReader(point.view()).U64(); }

std::optional<NodeId> ReplicaSet::PointOf(uint64_t prefix) const {
  std::optional<NodeId> found;
  for (const Peer* peer : KnownStoring()) {
    if (PointPrefix(peer->point) != prefix) continue;
    if (found && *found != peer->point) return std::nullopt;
    found = peer->point;
  }
  return found;
}

std::optional<RingRange> ReplicaSet::ArcOf(const Peer& candidate) const {
  if (candidate.role != overlay::Role::kStoring) return std::nullopt;
  std::vector<const Peer*> before;  // the nearest R processes in front of it, each where it is nearest; nearest first
  const auto is_nearer = [&](const Peer* a, const Peer* b) {
    return overlay::Distance(a->point, candidate.point) < overlay::Distance(b->point, candidate.point);
  };
  for (const Peer* peer : KnownStoring()) {
    if (peer->SameProcess(candidate)) continue;
    const auto known = std::find_if(before.begin(), before.end(), [&](const Peer* other) { return other->SameProcess(*peer); });
    if (known == before.end()) {
      before.push_back(peer);
    } else if (is_nearer(peer, *known)) {
      *known = peer;
    }
    std::sort(before.begin(), before.end(), is_nearer);
    if (before.size() > replica_count_) before.pop_back();
  }
  const bool is_whole = before.size() < replica_count_;
  return RingRange{.after = is_whole ? candidate.point : before.back()->point, .last = candidate.point};
}

bool ReplicaSet::MayHold(const Peer& candidate, const NodeId& point) const {
  const std::optional<RingRange> arc = ArcOf(candidate);
  return arc && arc->Contains(point);
}

// A range lies inside the arc if both its ends do and it does not go the other way around.
bool ReplicaSet::MayHoldAll(const Peer& candidate, const overlay::RingRange& range) const {
  const std::optional<RingRange> arc = ArcOf(candidate);
  if (!arc || arc->IsWholeCircle()) return arc.has_value();
  const NodeId first = range.after.PlusOne();
  return arc->Contains(first) && arc->Contains(range.last) &&
         overlay::Distance(range.last, candidate.point) <= overlay::Distance(first, candidate.point);
}

std::vector<Peer> ReplicaSet::Neighbours(const keys::PublicKey& node_key) const {
  std::vector<Peer> found;
  for (const Peer* peer : KnownStoring()) {
    if (peer->node_key == node_key && !overlay::ContainsPoint(found, peer->point)) found.push_back(*peer);
  }
  return found;
}

}  // namespace dht
