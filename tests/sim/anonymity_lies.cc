// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/anonymity_lies.h"

#include <algorithm>

#include "circuits/table_check.h"

namespace sim {
namespace {

using overlay::DistanceShare;
using overlay::Finger;
using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;
using support::DrawnRing;

constexpr double kHalf = 0.47;  // of the circle: lists that meet would claim to cover the ring

// All friends within the span that is allowed. The rest are honest ones.
void BendNeighbours(const Conspiracy& by, const DrawnRing& ring, size_t index, bool after, std::vector<Peer>& list) {
  const size_t n = ring.peers.size(), count = overlay::kTableNeighbours;
  const double span = std::min(kHalf, by.reach * circuits::GapsBound(count) / by.nodes);
  struct Choice {
    double rank;
    double distance;
    const Peer* peer;
  };
  std::vector<Choice> choices;
  for (size_t k = 1; k < n - 1; ++k) {
    const size_t at = after ? (index + k) % n : (index + n - k) % n;
    const Peer& peer = ring.peers[at];
    const double distance = after ? DistanceShare(ring.peers[index].point, peer.point) : DistanceShare(peer.point, ring.peers[index].point);
    if (distance > span) break;
    choices.push_back({by.is_friend(peer.node_key) ? -1 : after ? ring.ArcOf(at) : span - distance, distance, &peer});
  }
  if (choices.size() < count) return;
  std::sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.rank < b.rank; });
  choices.resize(count);
  std::sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.distance < b.distance; });
  list.clear();
  for (const Choice& choice : choices) list.push_back(*choice.peer);
}

struct Swap {
  double extra;
  size_t finger;
  Peer friend_peer;
};

// The first friend behind each finger's ideal point that is near enough, and how much farther it is.
std::vector<Swap> Swaps(const Conspiracy& by, const DrawnRing& ring, const RoutingTable& table, double& sum) {
  std::vector<Swap> swaps;
  for (size_t i = 0; i < table.fingers.size(); ++i) {
    const Finger& finger = table.fingers[i];
    const NodeId ideal = table.owner.point.PlusPowerOfTwo(finger.exponent);
    const double gaps = DistanceShare(ideal, finger.peer.point) * by.nodes;
    sum += gaps;
    for (size_t k = 0; k < 64; ++k) {
      const Peer& peer = ring.peers[(ring.SuccessorOf(ideal) + k) % ring.peers.size()];
      const double there = DistanceShare(ideal, peer.point) * by.nodes;
      if (there > by.reach * circuits::kFingerGapsMax || peer == table.owner) break;
      if (!by.is_friend(peer.node_key)) continue;
      swaps.push_back({there - gaps, i, peer});
      break;
    }
  }
  return swaps;
}

// The cheapest first.
void BendFingers(const Conspiracy& by, const DrawnRing& ring, RoutingTable& table) {
  double sum = 0;
  std::vector<Swap> swaps = Swaps(by, ring, table, sum);
  std::sort(swaps.begin(), swaps.end(), [](const Swap& a, const Swap& b) { return a.extra < b.extra; });
  for (const Swap& swap : swaps) {
    if (sum + swap.extra > by.reach * circuits::GapsBound(std::max<size_t>(table.fingers.size(), 1))) break;
    const size_t i = swap.finger;
    const bool repeats = (i > 0 && table.fingers[i - 1].peer == swap.friend_peer) ||
                         (i + 1 < table.fingers.size() && table.fingers[i + 1].peer == swap.friend_peer);
    if (repeats) continue;
    table.fingers[i].peer = swap.friend_peer;
    sum += swap.extra;
  }
}

}  // namespace

RoutingTable Bent(const Conspiracy& conspiracy, const DrawnRing& ring, size_t index, const RoutingTable& truth) {
  RoutingTable bent = truth;
  BendNeighbours(conspiracy, ring, index, /*after=*/true, bent.successors);
  if (conspiracy.bends_predecessors) BendNeighbours(conspiracy, ring, index, /*after=*/false, bent.predecessors);
  BendFingers(conspiracy, ring, bent);
  return bent;
}

}  // namespace sim
