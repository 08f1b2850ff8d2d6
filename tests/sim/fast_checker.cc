// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fast_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sim {

using overlay::NodeId;

FastChecker::FastChecker(std::vector<NodeId> points, int successor_count)
    : successor_count_(successor_count), points_(std::move(points)), views_(points_.size()), member_(points_.size(), false) {
  std::sort(points_.begin(), points_.end());
  while (leaves_ < points_.size()) leaves_ *= 2;
  tree_.resize(2 * leaves_);
}

size_t FastChecker::RankAtOrAfter(const NodeId& point) const {
  return static_cast<size_t>(std::lower_bound(points_.begin(), points_.end(), point) - points_.begin());
}

// --- A tree over the ranks: how many pairs lie over each member ---

void FastChecker::Pull(size_t node) {
  const Cover& left = tree_[2 * node];
  const Cover& right = tree_[2 * node + 1];
  Cover& both = tree_[node];
  const int64_t low = left.least + left.added, high = right.least + right.added;
  both.count = 0;
  both.least = 0;
  if (left.count > 0 && (right.count == 0 || low <= high)) both = {low, left.count, both.added};
  if (right.count > 0 && (left.count == 0 || high < low)) both = {high, right.count, both.added};
  if (left.count > 0 && right.count > 0 && low == high) both.count = left.count + right.count;
}

void FastChecker::Add(size_t node, size_t low, size_t high, size_t begin, size_t end, int64_t amount) {
  if (end <= low || high <= begin) return;
  if (begin <= low && high <= end) {
    tree_[node].added += amount;
    return;
  }
  const size_t middle = (low + high) / 2;
  Add(2 * node, low, middle, begin, end, amount);
  Add(2 * node + 1, middle, high, begin, end, amount);
  Pull(node);
}

void FastChecker::Lay(const Arc& arc, int64_t amount) {
  if (arc.begin <= arc.end) return Add(1, 0, leaves_, arc.begin, arc.end, amount);
  Add(1, 0, leaves_, arc.begin, leaves_, amount);
  Add(1, 0, leaves_, 0, arc.end, amount);
}

void FastChecker::Enroll(size_t rank, bool member) {
  member_[rank] = member;
  size_t node = leaves_ + rank;
  tree_[node].count = member ? 1 : 0;
  while ((node /= 2) > 0) Pull(node);
}

int64_t FastChecker::Covered(size_t rank) const {
  int64_t sum = 0;
  for (size_t node = leaves_ + rank; node > 0; node /= 2) sum += tree_[node].added;
  return sum;
}

size_t FastChecker::principals() const {
  const Cover& all = tree_[1];
  return all.count > 0 && all.least + all.added == 0 ? all.count : 0;
}

// --- Members ---

std::vector<FastChecker::Arc> FastChecker::ArcsOf(const MemberView& view) const {
  std::vector<Arc> arcs;
  NodeId last = view.point;
  const auto lay = [&](const NodeId& next) {
    const size_t begin = RankAtOrAfter(last.PlusOne()) % points_.size(), end = RankAtOrAfter(next) % points_.size();
    if (begin != end) arcs.push_back({begin, end});
    last = next;
  };
  for (const NodeId& next : view.successors) lay(next);
  if (static_cast<int>(view.successors.size()) < successor_count_) lay(view.point);
  return arcs;
}

void FastChecker::Set(const NodeId& point, const MemberView* view, bool died) {
  const size_t rank = RankAtOrAfter(point);
  const std::vector<Arc> arcs = view != nullptr ? ArcsOf(*view) : std::vector<Arc>();
  std::vector<size_t> were;  // principals that the new pairs pass over
  for (const Arc& arc : arcs) {
    for (size_t i = arc.begin; i != arc.end; i = (i + 1) % points_.size()) {
      if (member_[i] && Covered(i) == 0) were.push_back(i);
    }
  }
  const bool was_principal = member_[rank] && Covered(rank) == 0;
  if (member_[rank]) {
    for (const Arc& arc : ArcsOf(views_[rank])) Lay(arc, -1);
  }
  if (member_[rank] != (view != nullptr)) Enroll(rank, view != nullptr);
  if (view != nullptr) views_[rank] = *view;
  for (const Arc& arc : arcs) Lay(arc, 1);
  for (const size_t i : were) {
    if (member_[i] && Covered(i) > 0) lost_ = absl::StrCat("principal ", points_[i].ToHex().substr(0, 6), " lost without dying");
  }
  if (view == nullptr && was_principal && !died) lost_ = "a principal is no member any more";
}

bool FastChecker::HasLive(const MemberView& view, size_t except) const {
  return std::any_of(view.successors.begin(), view.successors.end(), [&](const NodeId& next) {
    const size_t rank = RankAtOrAfter(next);
    return rank != except && rank < points_.size() && points_[rank] == next && member_[rank];
  });
}

bool FastChecker::IsOrdered(const MemberView& view) const {
  const NodeId* last = &view.point;
  return std::all_of(view.successors.begin(), view.successors.end(),
                     [&](const NodeId& next) { return overlay::InOpen(next, *std::exchange(last, &next), view.point); });
}

absl::Status FastChecker::Check(const NodeId& changed) {
  const size_t rank = RankAtOrAfter(changed);
  if (!lost_.empty()) return absl::InternalError(lost_);
  if (principals() <= static_cast<size_t>(successor_count_)) {
    return absl::InternalError(absl::StrCat("I2 SufficientPrincipals: ", principals()));
  }
  const bool is_member = member_[rank];
  if (is_member && !IsOrdered(views_[rank])) return absl::InternalError("C1/C2 order of the list");
  if (is_member && static_cast<int>(views_[rank].successors.size()) != successor_count_)
    return absl::InternalError("I0 list length");
  if (is_member && !HasLive(views_[rank], points_.size())) return absl::InternalError("I1 OneLiveSuccessor");
  return absl::OkStatus();
}

bool FastChecker::MayFail(const NodeId& point) const {
  const size_t rank = RankAtOrAfter(point);
  if (!member_[rank]) return true;
  if (Covered(rank) == 0 && principals() <= static_cast<size_t>(successor_count_) + 1) return false;
  for (size_t i = 0; i < points_.size(); ++i) {
    const bool lists_it =
        i != rank && member_[i] &&
        std::find(views_[i].successors.begin(), views_[i].successors.end(), point) != views_[i].successors.end();
    if (lists_it && !HasLive(views_[i], rank)) return false;
  }
  return true;
}

}  // namespace sim
