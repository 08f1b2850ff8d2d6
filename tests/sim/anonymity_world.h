// SPDX-License-Identifier: Apache-2.0
// tests/sim/anonymity_world.h — a ring with hostile members, as a client that chooses relays meets it: who stands where, who is dead or
// new while tables still say otherwise, whose clock is wrong, and what each member's table shows.
//
// Hostile members collude and know the whole ring. What they do (Strategy): nothing but look; show tables whose fingers and successors
// are bent towards friends as far as the client's own checks allow; bend predecessors too, so as to claim what belongs to others
// (which costs them claims of their own); bend as the second, and as last hop let no lookup through that would end at an honest node.
// With `grind` above 1 each chose its place among that many points, so as to catch as much of the sampler as it can.
#pragma once

#include <optional>

#include "absl/container/flat_hash_map.h"
#include "tests/support/drawn_ring.h"

namespace sim {

enum class Strategy { kPassive, kLying, kHiding, kRefusing };

class AnonymityWorld {
 public:
  struct Options {
    size_t nodes = 1000;
    double hostile = 0.2;  // share of the members
    Strategy strategy = Strategy::kLying;
    int grind = 1;
    uint64_t seed = 1;
    absl::Duration half_life = absl::Hours(1);   // of members: churn
    absl::Duration table_age = absl::Minutes(1);  // at most so far behind the ring are tables
  };

  explicit AnonymityWorld(const Options& options);

  // Alive now, in ring order.
  const support::DrawnRing& ring() const { return ring_; }
  bool IsHostile(const keys::PublicKey& node_key) const { return Of(node_key).hostile; }
  // What this member shows when it is asked; nothing if it is dead, or its clock so wrong that the table is refused.
  const overlay::RoutingTable* TableOf(const keys::PublicKey& node_key, absl::Time wall_now);
  // Whether a last hop lets a lookup go on whose point belongs to that member: a refusing one guesses right where it leads.
  bool AnswersOver(bool exit_hostile, const keys::PublicKey& truth) const {
    return !exit_hostile || options_.strategy != Strategy::kRefusing || IsHostile(truth);
  }
  double HonestCount() const { return honest_; }
  base::Rng& rng() { return rng_; }

 private:
  struct Member {
    overlay::Peer peer;
    bool hostile = false;
    absl::Duration died = -absl::InfiniteDuration();     // so long ago; negative: lives
    absl::Duration joined = absl::InfiniteDuration();    // so long ago
    absl::Duration clock_ahead;
    size_t snapshot = 0;
    std::optional<overlay::RoutingTable> table;
  };
  const Member& Of(const keys::PublicKey& node_key) const { return members_[by_key_.at(node_key)]; }
  void Place(const Options& options);
  overlay::NodeId Grind(const std::vector<std::pair<overlay::NodeId, bool>>& placed, int tries, double mean_gap);
  overlay::RoutingTable Bend(const support::DrawnRing& ring, size_t index) const;

  const Options options_;
  support::SeededRng rng_;
  std::vector<Member> members_;
  absl::flat_hash_map<keys::PublicKey, size_t> by_key_;
  support::DrawnRing ring_;
  std::vector<support::DrawnRing> snapshots_;  // as the ring was a little earlier: what tables show
  double honest_ = 0;
};

}  // namespace sim
