// SPDX-License-Identifier: Apache-2.0
#include "circuits/ring_view.h"

#include <algorithm>

#include "circuits/table_check.h"

namespace circuits {
namespace {

using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;

// Consecutive members of the ring around the owner, in ring order. A table names each process once, on either side; its other
// virtual nodes between the ends are computed.
std::vector<Peer> Stretch(const overlay::Network& network, const RoutingTable& table) {
  std::vector<Peer> stretch(table.predecessors.rbegin(), table.predecessors.rend());
  stretch.push_back(table.owner);
  stretch.insert(stretch.end(), table.successors.begin(), table.successors.end());
  if (network.virtual_nodes == 1) return stretch;
  const NodeId first = stretch.front().point, last = stretch.back().point;
  std::vector<Peer> all = overlay::VirtualNodesOf(network, stretch);
  std::erase_if(all, [&](const Peer& peer) { return peer.point != first && !overlay::InHalfOpen(peer.point, first, last); });
  std::sort(all.begin(), all.end(),
            [&](const Peer& a, const Peer& b) { return overlay::Distance(first, a.point) < overlay::Distance(first, b.point); });
  return all;
}

}  // namespace

std::optional<std::vector<Peer>> ResponsibleBy(const overlay::Network& network, const RoutingTable& table, const NodeId& point,
                                               size_t count) {
  if (table.CoversRing()) {
    return overlay::ResponsibleFor(point, overlay::VirtualNodesOf(network, table.Members()), count);
  }
  const std::vector<Peer> stretch = Stretch(network, table);
  for (size_t i = 1; i < stretch.size(); ++i) {
    if (!overlay::InHalfOpen(point, stretch[i - 1].point, stretch[i].point)) continue;
    std::vector<Peer> behind(stretch.begin() + static_cast<ptrdiff_t>(i), stretch.end());
    std::vector<Peer> found = overlay::ResponsibleFor(point, std::move(behind), count);
    if (found.size() < count) return std::nullopt;
    return found;
  }
  return std::nullopt;
}

RingView::Seen& RingView::Keep(const RoutingTable& table, absl::Time now) {
  if (on_table) on_table(table);
  const auto held = tables_.find(table.owner.point);
  if (held != tables_.end()) {
    Seen& seen = held->second;
    // An answer that was under way for long must not undo a newer one.
    if (table.issued < seen.table.issued) return seen;
    if (table.encoded.empty() || seen.table.encoded != table.encoded) {  // the own one may be unsigned
      seen.table = table;
      seen.names_lost = false;
      density_.Add(table, now);
    }
    seen.when = now;
    return seen;
  }
  density_.Add(table, now);
  if (tables_.size() >= kTablesMax) {
    tables_.erase(std::min_element(tables_.begin(), tables_.end(),
                                   [](const auto& a, const auto& b) { return a.second.when < b.second.when; }));
  }
  return tables_.emplace(table.owner.point, Seen{table, now}).first->second;
}

void RingView::Add(const RoutingTable& table, absl::Time now) { Keep(table, now); }

void RingView::AddStart(const RoutingTable& table, bool trusted, absl::Time now) {
  Seen& seen = Keep(table, now);
  seen.start = true;
  seen.trusted |= trusted;
}

void RingView::OnMet(const keys::PublicKey& node_key, absl::Time now) {
  if (met_.size() >= kMetMax && !met_.contains(node_key)) {
    met_.erase(std::min_element(met_.begin(), met_.end(), [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  met_[node_key] = now;
}

void RingView::OnLost(const keys::PublicKey& node_key) {
  met_.erase(node_key);
  const auto is_lost = [&](const Peer& peer) { return peer.node_key == node_key; };
  for (auto& [owner, seen] : tables_) {
    const RoutingTable& table = seen.table;
    seen.names_lost |= is_lost(table.owner) || std::any_of(table.successors.begin(), table.successors.end(), is_lost) ||
                       std::any_of(table.predecessors.begin(), table.predecessors.end(), is_lost);
  }
}

const RoutingTable* RingView::Find(const NodeId& owner, absl::Time now) const {
  const auto found = tables_.find(owner);
  return found == tables_.end() || !IsFresh(found->second, now) ? nullptr : &found->second.table;
}

bool RingView::IsBelieved(const Seen& seen, absl::Time now) const {
  if (!seen.table.CoversRing()) return false;
  const std::vector<Peer> members = seen.table.Members();
  if (const std::optional<double> gap = density_.MeanGap(now); gap.has_value() && !CheckTable(seen.table, *gap).ok()) return false;
  if (seen.trusted) return true;
  return std::all_of(met_.begin(), met_.end(), [&](const auto& met) {
    return now - met.second > kMetLately ||
           std::any_of(members.begin(), members.end(), [&](const Peer& peer) { return peer.node_key == met.first; });
  });
}

const RoutingTable* RingView::Covering(absl::Time now) const {
  const Seen* newest = nullptr;
  for (const auto& [owner, seen] : tables_) {
    if (!seen.start || !IsFresh(seen, now)) continue;
    if (newest == nullptr || seen.when > newest->when ||
        (seen.when == newest->when && seen.table.issued > newest->table.issued)) {
      newest = &seen;
    }
  }
  return newest == nullptr || !IsBelieved(*newest, now) ? nullptr : &newest->table;
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
    if (IsFresh(seen, now) && !seen.table.CoversRing()) add(seen.table);
  }
  return members;
}

std::optional<std::vector<Peer>> RingView::Responsible(const NodeId& point, absl::Time now) const {
  const auto count = static_cast<size_t>(network_.replica_count);
  if (const RoutingTable* covering = Covering(now)) return ResponsibleBy(network_, *covering, point, count);
  const Seen* newest = nullptr;
  std::optional<std::vector<Peer>> best;
  for (const auto& [owner, seen] : tables_) {
    if (!IsFresh(seen, now) || seen.table.CoversRing() || (newest != nullptr && seen.when <= newest->when)) continue;
    std::optional<std::vector<Peer>> found = ResponsibleBy(network_, seen.table, point, count);
    if (!found.has_value()) continue;
    newest = &seen;
    best = std::move(found);
  }
  return best;
}

}  // namespace circuits
