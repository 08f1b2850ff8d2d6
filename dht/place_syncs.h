// SPDX-License-Identifier: Apache-2.0
// dht/place_syncs.h — makes a place complete before it is listed: what another responsible replica has there is pulled first.
//
// The same rule as for a get (get_rounds.h): this replica and one other, or the list is "incomplete". Equal replicas cost one
// small message each; kinds do not matter, the whole point is compared.
#pragma once

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dht/get_rounds.h"
#include "dht/outbox.h"
#include "dht/range_sync.h"
#include "dht/replica_set.h"

namespace dht {

inline constexpr absl::Duration kPlaceFresh = absl::Seconds(2);  // pages of one listing need one comparison
inline constexpr size_t kFreshPlacesMax = 1024;                  // beyond it all are compared again

class PlaceSyncs {
 public:
  PlaceSyncs(const ReplicaSet& replicas, const Witness& witness, RangeSync& sync, Outbox& out)
      : replicas_(replicas), witness_(witness), sync_(sync), out_(out) {}

  // Emits PlaceSynced for `request` once.
  void Start(RequestId request, const overlay::NodeId& point, bool serving, const Moment& moment);
  void OnNeighbourhood() { fresh_.clear(); }
  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Place {
    std::vector<RequestId> waiters;
    int running = 0;
    int witnesses = 0;
    absl::Time deadline;
  };

  void OnDone(const overlay::NodeId& point, uint64_t generation, bool by_witness, const Moment& moment);
  void Finish(const overlay::NodeId& point, const Moment& moment);

  const ReplicaSet& replicas_;
  const Witness& witness_;
  RangeSync& sync_;
  Outbox& out_;
  size_t waiting_ = 0;  // requests, at most kRoundsMax
  absl::flat_hash_map<overlay::NodeId, Place> places_;
  absl::flat_hash_map<overlay::NodeId, uint64_t> generations_;  // of places_: late pulls of an earlier one are not counted
  absl::flat_hash_map<overlay::NodeId, absl::Time> fresh_;      // until when
};

}  // namespace dht
