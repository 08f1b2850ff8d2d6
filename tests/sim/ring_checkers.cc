// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/ring_checkers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace sim {
namespace {

using overlay::InOpen;
using overlay::NodeId;

std::string Short(const NodeId& point) { return point.ToHex().substr(0, 6); }

absl::Status Broken(const std::string& rule, const NodeId& point) {
  return absl::InternalError(absl::StrCat(rule, " broken at ", Short(point)));
}

size_t IndexAfter(const RingView& view, const NodeId& point) {
  const auto next = std::upper_bound(view.members.begin(), view.members.end(), point,
                                     [](const NodeId& p, const MemberView& member) { return p < member.point; });
  return next == view.members.end() ? 0 : static_cast<size_t>(next - view.members.begin());
}

// Marks the members strictly inside the arc.
void MarkBetween(const RingView& view, const NodeId& a, const NodeId& b, std::vector<bool>& skipped) {
  const size_t count = view.members.size();
  size_t at = IndexAfter(view, a);
  for (size_t i = 0; i < count && InOpen(view.members[at].point, a, b); ++i, at = (at + 1) % count) skipped[at] = true;
}

std::vector<bool> Skipped(const RingView& view) {
  std::vector<bool> skipped(view.members.size(), false);
  for (const MemberView& member : view.members) {
    NodeId last = member.point;
    for (const NodeId& next : member.successors) {
      MarkBetween(view, last, next, skipped);
      last = next;
    }
    if (static_cast<int>(member.successors.size()) < view.successor_count) MarkBetween(view, last, member.point, skipped);
  }
  return skipped;
}

absl::Status CheckLists(const RingView& view, bool full) {
  for (const MemberView& member : view.members) {
    const int size = static_cast<int>(member.successors.size());
    if (size > view.successor_count || (full && size != view.successor_count)) return Broken("I0 list length", member.point);
    NodeId last = member.point;
    for (const NodeId& next : member.successors) {
      // In order and short of the owner: C1 OrderedSuccessorLists and C2 NoDuplicates at once.
      if (!InOpen(next, last, member.point)) return Broken("C1/C2 order of the list", member.point);
      last = next;
    }
    if (view.Best(member) == nullptr) return Broken("I1 OneLiveSuccessor", member.point);
  }
  return absl::OkStatus();
}

// The members on the cycle that `from` runs into over best successors.
std::vector<NodeId> CycleFrom(const RingView& view, const MemberView* from) {
  for (size_t i = 0; i < view.members.size(); ++i) from = view.Best(*from);
  std::vector<NodeId> cycle;
  const MemberView* at = from;
  do {
    cycle.push_back(at->point);
    at = view.Best(*at);
  } while (at != from);
  std::sort(cycle.begin(), cycle.end());
  return cycle;
}

absl::Status CheckOneOrderedRing(const RingView& view, const std::vector<NodeId>& principals) {
  const std::vector<NodeId> ring = CycleFrom(view, &view.members.front());  // C4: lists have live entries, so there is one
  for (const MemberView& member : view.members) {
    if (std::binary_search(ring.begin(), ring.end(), member.point)) {
      const MemberView* best = view.Best(member);
      const auto next = std::upper_bound(ring.begin(), ring.end(), member.point);
      const NodeId expected = next == ring.end() ? ring.front() : *next;
      if (best->point != expected) return Broken("C6 OrderedRing", member.point);
    } else if (CycleFrom(view, &member) != ring) {
      return Broken("C5/C7 a second ring", member.point);
    }
  }
  for (const NodeId& principal : principals) {
    if (!std::binary_search(ring.begin(), ring.end(), principal)) return Broken("C3 principal off the ring", principal);
  }
  return absl::OkStatus();
}

}  // namespace

const MemberView* RingView::Find(const NodeId& point) const {
  const auto at = std::lower_bound(members.begin(), members.end(), point,
                                   [](const MemberView& member, const NodeId& p) { return member.point < p; });
  return at != members.end() && at->point == point ? &*at : nullptr;
}

const MemberView* RingView::Best(const MemberView& member) const {
  if (member.successors.empty()) return &member;
  for (const NodeId& point : member.successors) {
    if (const MemberView* found = Find(point)) return found;
  }
  return nullptr;
}

MemberView ViewOf(const overlay::Ring& ring, int successor_count) {
  MemberView view;
  view.point = ring.self().point;
  for (const overlay::Peer& peer : ring.successors()) view.successors.push_back(peer.point);
  const size_t length = ring.HasOpenList() ? static_cast<size_t>(successor_count) : 0;
  while (!view.successors.empty() && view.successors.size() < length) view.successors.push_back(view.successors.back().PlusOne());
  if (ring.predecessor()) view.predecessor = ring.predecessor()->point;
  return view;
}

std::vector<NodeId> Principals(const RingView& view) {
  const std::vector<bool> skipped = Skipped(view);
  std::vector<NodeId> principals;
  for (size_t i = 0; i < skipped.size(); ++i) {
    if (!skipped[i]) principals.push_back(view.members[i].point);
  }
  return principals;
}

absl::Status CheckInvariant(const RingView& view, int principals_min) {
  if (view.members.empty()) return absl::InternalError("C4 AtLeastOneRing: no members");
  RETURN_IF_ERROR(CheckLists(view, principals_min > view.successor_count));
  const std::vector<NodeId> principals = Principals(view);
  if (static_cast<int>(principals.size()) < principals_min) {
    return absl::InternalError(absl::StrCat("I2 SufficientPrincipals: ", principals.size(), " of ", principals_min));
  }
  return CheckOneOrderedRing(view, principals);
}

absl::Status CheckIdeal(const RingView& view) {
  const size_t count = view.members.size();
  const size_t length = std::min(count - std::min<size_t>(count, 1), static_cast<size_t>(view.successor_count));
  for (size_t i = 0; i < count; ++i) {
    const MemberView& member = view.members[i];
    if (member.successors.size() != length) return Broken("ideal list length", member.point);
    for (size_t k = 0; k < length; ++k) {
      if (member.successors[k] != view.members[(i + k + 1) % count].point) return Broken("ideal list", member.point);
    }
    if (count > 1 && member.predecessor != view.members[(i + count - 1) % count].point) {
      return Broken("ideal predecessor", member.point);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNoSelfSuccessor(const RingView& view, size_t live_nodes) {
  for (const MemberView& member : view.members) {
    const auto& list = member.successors;
    if (std::find(list.begin(), list.end(), member.point) != list.end()) return Broken("self in the list", member.point);
    if (list.empty() && live_nodes > 1) return Broken("member alone beside others", member.point);
  }
  return absl::OkStatus();
}

bool MayFail(const RingView& view, const NodeId& point, int principals_min) {
  if (view.Find(point) == nullptr) return true;
  for (const MemberView& member : view.members) {
    if (member.point == point) continue;
    const bool has_other = std::any_of(member.successors.begin(), member.successors.end(),
                                       [&](const NodeId& p) { return p != point && view.Find(p) != nullptr; });
    if (!has_other) return false;
  }
  const std::vector<NodeId> principals = Principals(view);
  const bool is_principal = std::binary_search(principals.begin(), principals.end(), point);
  return !is_principal || static_cast<int>(principals.size()) > principals_min;
}

std::string Describe(const RingView& view) {
  std::string text;
  for (const MemberView& member : view.members) {
    absl::StrAppend(&text, Short(member.point), ": pred ", member.predecessor ? Short(*member.predecessor) : "-", " list");
    for (const NodeId& next : member.successors) absl::StrAppend(&text, " ", Short(next), view.Find(next) ? "" : "(dead)");
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace sim
