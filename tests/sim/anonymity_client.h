// SPDX-License-Identifier: Apache-2.0
// tests/sim/anonymity_client.h — one client in an AnonymityWorld: its density, lookups, pool and guards are the program's own cores.
// It begins at three members it was told of, walks until its pool is usable, and fills it through circuits out of it from then on.
// A table that the density forbids costs its owner the place in the pool, whenever it is fetched: circuits begin lookups at their last
// relay's table, so pooled relays are looked at again and again (CircuitBuilder::Accept).
#pragma once

#include "absl/container/flat_hash_set.h"
#include "circuits/guard_set.h"
#include "circuits/point_lookup.h"
#include "circuits/relay_pool.h"
#include "circuits/ring_density.h"
#include "tests/sim/anonymity_world.h"

namespace sim {

struct LookupTotals {
  uint64_t tries = 0, found = 0, right = 0;
  uint64_t watched = 0;  // tries in which the last hop or a member whose table was fetched was hostile
  uint64_t exit_watched = 0;
  uint64_t fetches = 0, bytes = 0, handshakes = 0;
  uint64_t removed = 0, removed_honest = 0;  // from the pool, for their tables
  double seconds = 0;
  LookupTotals& operator+=(const LookupTotals& other);
};

struct SimCircuit {
  overlay::Peer guard, middle, last;
};

class AnonymityClient {
 public:
  AnonymityClient(AnonymityWorld& world, uint64_t seed);

  // Draws until the pool is full, or as full as a small ring lets it be.
  void Fill();
  // A guard for the next month, as a set of its own chooses it: out of the pool as it was when it was first usable.
  std::optional<overlay::Peer> PickGuard();
  // The one that it has kept since it began, or since its pool was usable.
  std::optional<overlay::Peer> KeptGuard();
  // Middle and last hop out of the pool for that guard.
  std::optional<SimCircuit> PickCircuit(const overlay::Peer& guard, circuits::NodeKeys shunned = {});
  // A walk over finger tables; `checked`: held to the density. Nothing where it leads nowhere.
  std::optional<SimCircuit> Walk(bool checked);

  const std::vector<overlay::Peer>& pooled() const { return pooled_; }
  const std::vector<overlay::Peer>& guard_choices() const { return first_pooled_; }
  const LookupTotals& lookups() const { return lookups_; }
  // Pooled relays whose lookup could be tied to this client: a hostile guard, and a hostile last hop or relay.
  const absl::flat_hash_set<keys::PublicKey>& betrayed() const { return betrayed_; }
  absl::Duration time_to_usable() const { return usable_after_; }
  overlay::Peer self() const { return self_; }

 private:
  void Explore();
  const overlay::RoutingTable* Fetch(const keys::PublicKey& node_key);
  // The same over a circuit, held to the density.
  const overlay::RoutingTable* FetchChecked(const keys::PublicKey& node_key);
  void FollowPool();  // pooled_ and betrayed_ after the pool
  circuits::NodeKeys Distrusted() const;
  void Resolve(const circuits::RelayPool::Draw& draw);
  bool Try(circuits::PointLookup& lookup, const circuits::RelayPool::Draw& draw);
  void Count(int fetched, bool watched, bool exit_watched);

  AnonymityWorld& world_;
  support::SeededRng rng_;
  overlay::Peer self_;
  absl::Time now_;
  std::vector<overlay::Peer> seeds_;
  circuits::RingDensity density_;
  circuits::RelayPool pool_;
  circuits::GuardSet guards_;
  std::vector<overlay::Peer> pooled_, first_pooled_;
  absl::flat_hash_set<keys::PublicKey> betrayed_;
  absl::flat_hash_map<keys::PublicKey, absl::Time> distrusted_;  // until then
  LookupTotals lookups_;
  absl::Duration usable_after_ = absl::InfiniteDuration();
};

}  // namespace sim
