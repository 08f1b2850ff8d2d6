// SPDX-License-Identifier: Apache-2.0
#include "overlay/neighbourhood.h"

#include <algorithm>

#include "overlay/routing_table.h"
#include "overlay/successor_list.h"

namespace overlay {
namespace {

// Two lists that meet name all storing virtual nodes there are; so does one that is short while the other is empty, as when only
// two processes have met.
bool CoversRing(const Neighbourhood& neighbourhood, size_t count) {
  const std::vector<Peer>& after = neighbourhood.successors;
  const std::vector<Peer>& before = neighbourhood.predecessors;
  const keys::PublicKey& own = neighbourhood.self.node_key;
  if (after.empty() || before.empty()) return CountProcesses(after, own) <= count && CountProcesses(before, own) <= count;
  return std::any_of(after.begin(), after.end(), [&](const Peer& peer) { return ContainsPoint(before, peer.point); });
}

// All storing virtual nodes known, clockwise: the farthest predecessor first.
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
    std::vector<Peer> responsible;
    for (; i < peers.size() && responsible.size() < count; ++i) {
      const bool seen =
          std::any_of(responsible.begin(), responsible.end(), [&](const Peer& held) { return held.SameProcess(peers[i]); });
      if (!seen) responsible.push_back(peers[i]);
    }
    return responsible.size() == count ? responsible : std::vector<Peer>{};
  }
  return {};
}

RingRange HeldRange(const Neighbourhood& neighbourhood, size_t count) {
  const Peer& self = neighbourhood.self;
  std::vector<Peer> others;
  for (const Peer& peer : neighbourhood.predecessors) {
    others.push_back(peer);
    if (peer.SameProcess(self) || CountProcesses(others, self.node_key) == count) return {peer.point, self.point};
  }
  return {self.point, self.point};
}

}  // namespace overlay
