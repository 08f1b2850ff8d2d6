// SPDX-License-Identifier: Apache-2.0
#include "overlay/neighbourhood.h"

#include <algorithm>

#include "overlay/routing_table.h"
#include "overlay/successor_list.h"

namespace overlay {
namespace {

// Two short lists, or two that meet, name all storing processes there are.
bool CoversRing(const Neighbourhood& neighbourhood, size_t count) {
  const std::vector<Peer>& after = neighbourhood.successors;
  const std::vector<Peer>& before = neighbourhood.predecessors;
  if (after.size() <= count && before.size() <= count) return true;
  return std::any_of(after.begin(), after.end(), [&](const Peer& peer) { return ContainsPoint(before, peer.point); });
}

// All storing processes known, clockwise: the farthest predecessor first.
std::vector<Peer> InOrder(const Neighbourhood& neighbourhood) {
  std::vector<Peer> peers(neighbourhood.predecessors.rbegin(), neighbourhood.predecessors.rend());
  if (neighbourhood.self.role == Role::kStoring) peers.push_back(neighbourhood.self);
  peers.insert(peers.end(), neighbourhood.successors.begin(), neighbourhood.successors.end());
  return peers;
}

}  // namespace

std::vector<Peer> ResponsibleFor(const NodeId& point, const Neighbourhood& neighbourhood, size_t count) {
  if (!neighbourhood.member) return {};
  std::vector<Peer> peers = InOrder(neighbourhood);
  if (CoversRing(neighbourhood, count)) return ResponsibleFor(point, std::move(peers), count);
  for (size_t i = 1; i < peers.size(); ++i) {
    if (!InHalfOpen(point, peers[i - 1].point, peers[i].point)) continue;
    if (i + count > peers.size()) return {};
    return {peers.begin() + static_cast<std::ptrdiff_t>(i), peers.begin() + static_cast<std::ptrdiff_t>(i + count)};
  }
  return {};
}

RingRange HeldRange(const Neighbourhood& neighbourhood, size_t count) {
  const NodeId& self = neighbourhood.self.point;
  if (count == 0 || neighbourhood.predecessors.size() < count) return {self, self};
  return {neighbourhood.predecessors[count - 1].point, self};
}

}  // namespace overlay
