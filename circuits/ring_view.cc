// SPDX-License-Identifier: Apache-2.0
#include "circuits/ring_view.h"

#include <algorithm>

namespace circuits {
namespace {

using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;

// Consecutive members of the ring around the owner, in ring order.
std::vector<Peer> Stretch(const RoutingTable& table) {
  std::vector<Peer> stretch(table.predecessors.rbegin(), table.predecessors.rend());
  stretch.push_back(table.owner);
  stretch.insert(stretch.end(), table.successors.begin(), table.successors.end());
  return stretch;
}

}  // namespace

std::optional<std::vector<Peer>> ResponsibleBy(const RoutingTable& table, const NodeId& point, size_t count) {
  if (table.CoversRing()) return overlay::ResponsibleFor(point, table.Members(), count);
  const std::vector<Peer> stretch = Stretch(table);
  for (size_t i = 1; i < stretch.size(); ++i) {
    if (!overlay::InHalfOpen(point, stretch[i - 1].point, stretch[i].point)) continue;
    std::vector<Peer> behind(stretch.begin() + static_cast<ptrdiff_t>(i), stretch.end());
    std::vector<Peer> found = overlay::ResponsibleFor(point, std::move(behind), count);
    if (found.size() < count) return std::nullopt;
    return found;
  }
  return std::nullopt;
}

void RingView::Add(const RoutingTable& table, absl::Time now) {
  const auto held = tables_.find(table.owner.point);
  if (held != tables_.end()) {
    // An answer that was under way for long must not undo a newer one.
    if (table.issued < held->second.table.issued) return;
    if (held->second.table.encoded != table.encoded) held->second.table = table;
    held->second.when = now;
    return;
  }
  if (tables_.size() >= kTablesMax) {
    tables_.erase(std::min_element(tables_.begin(), tables_.end(),
                                   [](const auto& a, const auto& b) { return a.second.when < b.second.when; }));
  }
  tables_.emplace(table.owner.point, Seen{table, now});
}

const RoutingTable* RingView::Find(const NodeId& owner, absl::Time now) const {
  const auto found = tables_.find(owner);
  return found == tables_.end() || !IsFresh(found->second, now) ? nullptr : &found->second.table;
}

const RoutingTable* RingView::Covering(absl::Time now) const {
  const Seen* newest = nullptr;
  for (const auto& [owner, seen] : tables_) {
    if (!IsFresh(seen, now) || !seen.table.CoversRing()) continue;
    if (newest == nullptr || seen.when > newest->when ||
        (seen.when == newest->when && seen.table.issued > newest->table.issued)) {
      newest = &seen;
    }
  }
  return newest == nullptr ? nullptr : &newest->table;
}

std::vector<Peer> RingView::Members(absl::Time now) const {
  std::vector<Peer> members;
  NodeKeys named;
  const auto add = [&](const RoutingTable& table) {
    for (const Peer& peer : table.Members()) {
      if (named.insert(peer.node_key).second) members.push_back(peer);
    }
  };
  if (const RoutingTable* covering = Covering(now)) {
    add(*covering);
    return members;
  }
  for (const auto& [owner, seen] : tables_) {
    if (IsFresh(seen, now)) add(seen.table);
  }
  return members;
}

std::optional<std::vector<Peer>> RingView::Responsible(const NodeId& point, absl::Time now) const {
  const auto count = static_cast<size_t>(network_.replica_count);
  if (const RoutingTable* covering = Covering(now)) return ResponsibleBy(*covering, point, count);
  const Seen* newest = nullptr;
  std::optional<std::vector<Peer>> best;
  for (const auto& [owner, seen] : tables_) {
    if (!IsFresh(seen, now) || (newest != nullptr && seen.when <= newest->when)) continue;
    std::optional<std::vector<Peer>> found = ResponsibleBy(seen.table, point, count);
    if (!found.has_value()) continue;
    newest = &seen;
    best = std::move(found);
  }
  return best;
}

}  // namespace circuits
