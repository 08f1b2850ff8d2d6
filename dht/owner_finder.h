// SPDX-License-Identifier: Apache-2.0
// dht/owner_finder.h — whom to ask for a user who sits at a node that is not responsible itself.
//
// What an earlier lookup found is tried first (owner_cache.h); where that leads nowhere the ring is asked (FindAgain).
#pragma once

#include <functional>

#include "dht/outbox.h"
#include "dht/owner_cache.h"
#include "dht/replica_set.h"

namespace dht {

inline constexpr size_t kPassOnTries = 3;  // responsible nodes asked on behalf of a local user

// The owners of one point, other processes than this one, nearest first; asked one after the other.
struct OwnerTrail {
  std::vector<overlay::Peer> owners = {};
  bool remembered = false;  // they are what an earlier lookup found
  size_t tried = 0;

  // The next one to ask; nullptr: kPassOnTries or all were. Good until `owners` changes.
  const overlay::Peer* Next() { return tried < std::min(owners.size(), kPassOnTries) ? &owners[tried++] : nullptr; }
};

class OwnerFinder {
 public:
  using Found = std::function<void(OwnerTrail, const Moment&)>;  // at once, or when a lookup is over; no owners: it failed

  OwnerFinder(const ReplicaSet& replicas, Outbox& out) : replicas_(replicas), out_(out) {}

  void Find(const overlay::NodeId& point, const Moment& moment, Found found);
  void FindAgain(const overlay::NodeId& point, Found found);

 private:
  void LookUp(const overlay::NodeId& point, Found found);
  OwnerTrail TrailOf(std::vector<overlay::Peer> owners, bool remembered) const;

  const ReplicaSet& replicas_;
  Outbox& out_;
  OwnerCache cache_;
};

}  // namespace dht
