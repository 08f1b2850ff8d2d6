// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/anonymity_world.h"

#include <algorithm>
#include <cmath>

#include "circuits/relay_pool.h"
#include "circuits/table_check.h"
#include "overlay/signed_record.h"
#include "tests/sim/anonymity_lies.h"

namespace sim {
namespace {

using overlay::DistanceShare;
using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;
using support::DrawnRing;

constexpr size_t kSnapshots = 4;
constexpr double kWrongClocks = 0.01;

double Weight(double arc, double mean_gap) { return arc * circuits::AcceptChance(arc, mean_gap); }

}  // namespace

AnonymityWorld::AnonymityWorld(const Options& options) : options_(options), rng_(options.seed) {
  Place(options);
  for (size_t i = 0; i < members_.size(); ++i) by_key_[members_[i].peer.node_key] = i;
  for (size_t s = 0; s <= kSnapshots; ++s) {
    const absl::Duration ago = options.table_age * static_cast<int64_t>(s) / static_cast<int64_t>(kSnapshots);
    DrawnRing then;
    for (const Member& member : members_) {
      if (member.joined >= ago && member.died <= ago) then.peers.push_back(member.peer);
    }
    then.Sort();
    if (s == 0) {
      ring_ = then;
    } else {
      snapshots_.push_back(std::move(then));
    }
  }
  for (const Peer& peer : ring_.peers) honest_ += !Of(peer.node_key).hostile;
}

// Members alive now, and those that died within the age of a table.
void AnonymityWorld::Place(const Options& options) {
  const double mean_gap = 1.0 / static_cast<double>(options.nodes);
  const auto lost = static_cast<size_t>(static_cast<double>(options.nodes) * (1 - std::exp2(-(options.table_age / options.half_life))));
  const size_t total = options.nodes + lost;
  const auto hostile = static_cast<size_t>(options.hostile * static_cast<double>(total) + 0.5);
  std::vector<std::pair<NodeId, bool>> placed;
  for (size_t i = 0; i < total; ++i) {
    const bool is_hostile = i >= total - hostile;
    const NodeId point = is_hostile ? Grind(placed, options.grind, mean_gap) : NodeId::Random(rng_);
    const std::pair<NodeId, bool> entry{point, is_hostile};
    placed.insert(std::lower_bound(placed.begin(), placed.end(), entry), entry);
  }
  std::vector<size_t> order(total);
  for (size_t i = 0; i < total; ++i) order[i] = i;
  base::Shuffle(order, rng_);
  for (size_t k = 0; k < total; ++k) {
    Member member{.peer = DrawnRing::MakePeer(placed[order[k]].first, rng_), .hostile = placed[order[k]].second};
    if (k < lost) member.died = options.table_age * rng_.Unit();
    if (k >= lost && k < 2 * lost) member.joined = options.table_age * rng_.Unit();
    const double off = rng_.Unit() * 2 - 1;
    member.clock_ahead = rng_.Unit() < kWrongClocks ? absl::Hours(3) * off : absl::Minutes(30) * off;
    member.snapshot = rng_.Below(kSnapshots);
    members_.push_back(std::move(member));
  }
}

// The point that adds most to the hostile weight in the sampler, of as many as were paid for.
NodeId AnonymityWorld::Grind(const std::vector<std::pair<NodeId, bool>>& placed, int tries, double mean_gap) {
  NodeId best = NodeId::Random(rng_);
  double best_gain = -1;
  for (int i = 0; i < tries && tries > 1 && placed.size() > 1; ++i) {
    const NodeId point = NodeId::Random(rng_);
    auto next = std::lower_bound(placed.begin(), placed.end(), std::pair<NodeId, bool>{point, false});
    const auto& before = next == placed.begin() ? placed.back() : *std::prev(next);
    if (next == placed.end()) next = placed.begin();
    const double own = DistanceShare(before.first, point), rest = DistanceShare(point, next->first);
    const double loss = Weight(own + rest, mean_gap) - Weight(rest, mean_gap);
    const double gain = Weight(own, mean_gap) + (next->second ? -loss : loss / 4);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = point;
  }
  return best;
}

const RoutingTable* AnonymityWorld::TableOf(const keys::PublicKey& node_key, absl::Time wall_now) {
  Member& member = members_[by_key_.at(node_key)];
  if (member.died >= absl::ZeroDuration()) return nullptr;
  const absl::Duration life = overlay::Network::Local().table_lifetime;
  const absl::Time issued = wall_now + member.clock_ahead;
  if (!overlay::CheckLifetime(life, issued, issued + life, wall_now).ok()) return nullptr;
  if (!member.table.has_value()) {
    // Who is newer than the snapshot shows the ring of now.
    const DrawnRing& old = snapshots_[member.snapshot];
    const size_t at = old.SuccessorOf(member.peer.point);
    const DrawnRing& seen = old.peers[at] == member.peer ? old : ring_;
    const size_t index = seen.SuccessorOf(member.peer.point);
    member.table = member.hostile && options_.strategy != Strategy::kPassive ? Bend(seen, index) : seen.TableOf(index);
  }
  return &*member.table;
}

// Everything as far towards friends as the checks let it. Where that is not enough to be believed, the truth.
RoutingTable AnonymityWorld::Bend(const DrawnRing& ring, size_t index) const {
  const RoutingTable truth = ring.TableOf(index);
  if (truth.CoversRing()) return truth;
  RoutingTable bent = Bent({.is_friend = [this](const keys::PublicKey& node_key) { return IsHostile(node_key); },
                            .nodes = static_cast<double>(options_.nodes),
                            .bends_predecessors = options_.strategy == Strategy::kHiding},
                           ring, index, truth);
  return circuits::CheckTable(bent, 1.0 / static_cast<double>(options_.nodes)).ok() ? bent : truth;
}

}  // namespace sim
