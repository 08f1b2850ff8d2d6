// SPDX-License-Identifier: Apache-2.0
// tests/sim/ring_checkers.h — Zave's invariant of the ring over a snapshot of all members, and what follows from it.
//
// Source: arXiv 1502.06461 (2017): OneLiveSuccessor and SufficientPrincipals; names I0..I2 and C1..C7 as in docs/ring.md.
// A principal is a member that no extended list (a member followed by its list) skips.
// A list shorter than r is one of bootstrap mode: it is cut where its owner would appear, so the arc from its last entry back
// to its owner counts as a pair of neighbours too; an empty one is that of a member alone, which is its own best successor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "overlay/ring.h"

namespace sim {

struct MemberView {
  overlay::NodeId point;
  std::vector<overlay::NodeId> successors;
  std::optional<overlay::NodeId> predecessor;

  bool operator==(const MemberView&) const = default;
};

struct RingView {
  int successor_count = 8;
  std::vector<MemberView> members;  // live members, by rising point

  const MemberView* Find(const overlay::NodeId& point) const;
  // The first live entry of its list, or itself if it is a member alone; null if all are dead.
  const MemberView* Best(const MemberView& member) const;
};

// A member's pointers. An open list is one that Zave pads, with points that belong to nobody directly after the last entry.
MemberView ViewOf(const overlay::Ring& ring, int successor_count);

std::vector<overlay::NodeId> Principals(const RingView& view);

// I0..I2 and C1..C7, with at least `principals_min` principals: r + 1 where the proof applies, and then every list has r entries;
// 1 in bootstrap mode. The message says which one broke, and where.
absl::Status CheckInvariant(const RingView& view, int principals_min);

// Every member is on one ring, predecessors agree, every list names the next r members (or all others).
absl::Status CheckIdeal(const RingView& view);

// Nobody's list names its owner, and nobody is a member alone beside another live node.
absl::Status CheckNoSelfSuccessor(const RingView& view, size_t live_nodes);

// The failure assumption: whether this member may fail. Not if that leaves another one without a live entry, nor if it is one of
// the last `principals_min` principals.
bool MayFail(const RingView& view, const overlay::NodeId& point, int principals_min);

// The members' pointers, one line each, for failing tests.
std::string Describe(const RingView& view);

}  // namespace sim
