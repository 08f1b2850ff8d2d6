// SPDX-License-Identifier: Apache-2.0
// tests/sim/fast_checker.h — I0, I1, I2, C1 and C2 of ring_checkers.h kept up to date change by change, for rings of a thousand.
//
// Of every member's extended list the pairs of neighbours are laid over the circle; a member under no pair is a principal. A
// change of one member lifts its old pairs and lays its new ones: O(r log n), where the snapshot checker looks at n r pairs. What
// follows from I1 and I2 (C3 to C7) is left to that one, which is run beside it now and then. All points that may ever become
// members are known from the start; lists may name others (Zave's padding).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/ring_checkers.h"

namespace sim {

class FastChecker {
 public:
  FastChecker(std::vector<overlay::NodeId> points, int successor_count);

  // The member at that point now looks like this; null: it is none. `died`: it failed, and may take a principal with it.
  void Set(const overlay::NodeId& point, const MemberView* view, bool died);
  size_t principals() const;
  // I0, I1, C1 and C2 of that member, and at least r + 1 principals; with what Set saw on the way: no principal was lost without dying.
  absl::Status Check(const overlay::NodeId& changed);
  // The failure assumption, for a member.
  bool MayFail(const overlay::NodeId& point) const;

 private:
  struct Arc {
    size_t begin, end;  // ranks strictly inside, half open, may wrap
  };
  struct Cover {
    int64_t least = 0;  // of the members below, plus `added` of all nodes above
    size_t count = 0;   // members that have it
    int64_t added = 0;
  };

  size_t RankAtOrAfter(const overlay::NodeId& point) const;
  std::vector<Arc> ArcsOf(const MemberView& view) const;
  void Lay(const Arc& arc, int64_t amount);
  void Add(size_t node, size_t low, size_t high, size_t begin, size_t end, int64_t amount);
  void Enroll(size_t rank, bool member);
  void Pull(size_t node);
  int64_t Covered(size_t rank) const;
  bool IsOrdered(const MemberView& view) const;
  bool HasLive(const MemberView& view, size_t except) const;

  const int successor_count_;
  std::vector<overlay::NodeId> points_;
  std::vector<MemberView> views_;  // by rank
  std::vector<bool> member_;
  size_t leaves_ = 1;
  std::vector<Cover> tree_;
  std::string lost_;
};

}  // namespace sim
