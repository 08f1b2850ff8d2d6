// SPDX-License-Identifier: Apache-2.0
// tests/support/drawn_ring.h — a ring that is drawn, not run: who stands where, and the table each member would have once all is
// quiet. Tables are not signed; for code that is handed verified ones.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "overlay/finger_table.h"
#include "overlay/routing_table.h"
#include "tests/support/seeded_rng.h"

namespace support {

struct DrawnRing {
  std::vector<overlay::Peer> peers;  // in ring order
  size_t successor_count = 8;        // r: fingers begin behind it

  DrawnRing() = default;
  DrawnRing(size_t count, base::Rng& rng) {
    for (size_t i = 0; i < count; ++i) peers.push_back(MakePeer(overlay::NodeId::Random(rng), rng));
    Sort();
  }
  static overlay::Peer MakePeer(const overlay::NodeId& point, base::Rng& rng) {
    overlay::Peer peer;
    peer.node_key = {rng.Array<32>()};
    peer.point = point;
    peer.address = absl::StrCat(1 + rng.Below(223), ".", rng.Below(256), ".0.1:7");
    return peer;
  }
  void Sort() {
    std::sort(peers.begin(), peers.end(), [](const auto& a, const auto& b) { return a.point < b.point; });
  }

  // Index of the first member at or after the point.
  size_t SuccessorOf(const overlay::NodeId& point) const {
    const auto found =
        std::lower_bound(peers.begin(), peers.end(), point, [](const auto& peer, const overlay::NodeId& p) { return peer.point < p; });
    return found == peers.end() ? 0 : static_cast<size_t>(found - peers.begin());
  }
  // The share of the circle that falls to the member.
  double ArcOf(size_t i) const {
    return overlay::DistanceShare(peers[(i + peers.size() - 1) % peers.size()].point, peers[i].point);
  }

  overlay::RoutingTable TableOf(size_t i) const {
    overlay::RoutingTable table;
    table.owner = peers[i];
    const size_t n = peers.size();
    for (size_t k = 1; k <= std::min(overlay::kTableNeighbours, n - 1); ++k) {
      table.successors.push_back(peers[(i + k) % n]);
      table.predecessors.push_back(peers[(i + n - k) % n]);
    }
    overlay::FingerTable fingers;
    const overlay::NodeId& last = peers[(i + std::min(successor_count, n - 1)) % n].point;
    while (const auto exponent = fingers.NextExponent(peers[i].point, last)) {
      if (fingers.TakeRoundDone()) break;
      fingers.Set(*exponent, peers[i], peers[SuccessorOf(peers[i].point.PlusPowerOfTwo(*exponent))]);
    }
    table.fingers = fingers.Distinct();
    return table;
  }
};

}  // namespace support
