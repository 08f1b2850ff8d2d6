// SPDX-License-Identifier: Apache-2.0
// dht/replica_set.h — who holds what, as seen from one process: overlay's neighbourhoods turned into answers about points.
//
// A record at point x belongs to the first R storing processes at or after x. Between two neighbouring processes that set is
// constant, so the range held falls into *predecessor ranges* (P[i+1], P[i]], each with one set of holders and one fingerprint.
// A process may stand on the ring several times (virtual nodes); it counts where it stands first.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "overlay/neighbourhood.h"

namespace dht {

struct SharedRange {
  overlay::Peer peer;  // the storing neighbour that holds it too
  overlay::RingRange range;
};

class ReplicaSet {
 public:
  explicit ReplicaSet(size_t replica_count) : replica_count_(replica_count) {}

  // Replaces what is known around this virtual node. True if anything changed.
  bool Update(const overlay::Neighbourhood& neighbourhood);

  bool IsMember() const;              // some virtual node stands on the ring
  bool IsStoring() const;             // and this process stores
  const overlay::Peer* self() const;  // null before the first Update

  // The first `count` storing processes at or after the point; empty if it lies too far away to tell. Names self like a member
  // also while it is none.
  std::vector<overlay::Peer> Responsible(const overlay::NodeId& point, size_t count) const;
  std::vector<overlay::Peer> Responsible(const overlay::NodeId& point) const { return Responsible(point, replica_count_); }
  // This process is a member and among the first R (`count`).
  bool IsResponsible(const overlay::NodeId& point, size_t count) const;
  bool IsResponsible(const overlay::NodeId& point) const { return IsResponsible(point, replica_count_); }

  // Where records lie that this process does not have to hold; nothing if it holds the whole circle. With several virtual
  // nodes the range is the whole circle and IsResponsible decides.
  std::optional<overlay::RingRange> OutsideRange() const;

  // The points whose owner is self, per virtual node.
  std::vector<overlay::RingRange> OwnedRanges() const;
  // The arcs between known points for which this process is not responsible; nothing while it is no member.
  std::vector<overlay::RingRange> ForeignRanges() const;
  // What repair compares: every predecessor range held here, with each of its storing neighbours that holds it too. So every two
  // holders next to each other compare, and what one of them has reaches all.
  std::vector<SharedRange> RepairPlan() const;

  // The point of a storing node known here whose first eight bytes these are; nothing if there is none, or two.
  std::optional<overlay::NodeId> PointOf(uint64_t prefix) const;

  // The points that a process standing at candidate.point would hold as one of R, as far as is known here: an arc that ends
  // there. Nothing for a relay.
  std::optional<overlay::RingRange> ArcOf(const overlay::Peer& candidate) const;
  // Does it contain this point? True for present holders and for a joiner in front of them (protocol.md 3).
  bool MayHold(const overlay::Peer& candidate, const overlay::NodeId& point) const;
  // The same for every point of a range.
  bool MayHoldAll(const overlay::Peer& candidate, const overlay::RingRange& range) const;
  // The process of that key, if it is one of the neighbours; all of its virtual nodes that are known.
  std::vector<overlay::Peer> Neighbours(const keys::PublicKey& node_key) const;

 private:
  struct Standing {
    overlay::Neighbourhood around;  // with `member` set, so that a leaver can still say who will hold what
    bool member = false;
  };
  std::vector<const Standing*> Standings() const;
  std::vector<const overlay::Peer*> KnownStoring() const;  // a point may come twice
  std::vector<overlay::Peer> NeighboursIn(const overlay::Neighbourhood& neighbourhood, const overlay::RingRange& range) const;

  const size_t replica_count_;
  std::map<uint8_t, Standing> by_index_;  // at most v of them
};

// The predecessor ranges held by self as one of `count` holders, nearest first; where another virtual node of its process stands
// among them, they end there.
std::vector<overlay::RingRange> PredecessorRanges(const overlay::Neighbourhood& neighbourhood, size_t count);

uint64_t PointPrefix(const overlay::NodeId& point);  // its first eight bytes

bool ContainsProcess(const std::vector<overlay::Peer>& peers, const keys::PublicKey& node_key);

}  // namespace dht
