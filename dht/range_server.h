// SPDX-License-Identifier: Apache-2.0
// dht/range_server.h — answers Digest, Names and Fetch: what a replica tells another of its own copies.
//
// Only to a process that may hold the range by verified records (a present holder, or a joiner in front of one), only the
// overlap, and at a bounded rate per process (protocol.md 3). What is outside the overlap does not exist for the caller, and is
// not read for it.
#pragma once

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dht/outbox.h"
#include "dht/range_index.h"
#include "dht/record_store.h"
#include "dht/replica_set.h"
#include "dht/witness.h"

namespace dht {

inline constexpr double kRangeCallsPerSecond = 1000;  // per process: 100 MB/s to a joiner, and far above what repair needs
inline constexpr double kRangeCallsBurst = 1000;
inline constexpr size_t kRangeCallersMax = 1024;  // beyond it the budgets start anew

class RangeServer {
 public:
  RangeServer(const ReplicaSet& replicas, const RecordStore& store, RangeIndex& index, const Witness& witness)
      : replicas_(replicas), store_(store), index_(index), witness_(witness) {}

  // `caller`: the verified virtual nodes of the process that asks. PermissionDenied: it is no holder; ResourceExhausted: too
  // fast. `damaged` collects names whose bytes turned out to be damaged.
  absl::StatusOr<DhtReply> Digest(const std::vector<overlay::Peer>& caller, const DigestRequest& request, bool serving,
                                  const Moment& moment);
  absl::StatusOr<DhtReply> Names(const std::vector<overlay::Peer>& caller, const NamesRequest& request, const Moment& moment);
  absl::StatusOr<DhtReply> Fetch(const std::vector<overlay::Peer>& caller, const FetchRequest& request, const Moment& moment,
                                 std::vector<HeldName>& damaged);

  // Counts a call against the caller's rate: OK, PermissionDenied, ResourceExhausted as above.
  absl::Status Spend(const std::vector<overlay::Peer>& caller, const Moment& moment);
  bool MayHoldAll(const std::vector<overlay::Peer>& caller, const overlay::RingRange& range) const;

 private:
  struct Budget {
    double calls = kRangeCallsBurst;
    absl::Time since;
  };
  static std::optional<overlay::NodeId> NextArc(const std::vector<overlay::RingRange>& arcs, const overlay::NodeId& gap,
                                                const overlay::NodeId& last);
  std::vector<overlay::RingRange> ArcsOf(const std::vector<overlay::Peer>& caller) const;  // what it may hold
  static bool Contain(const std::vector<overlay::RingRange>& arcs, const overlay::NodeId& point);

  const ReplicaSet& replicas_;
  const RecordStore& store_;
  RangeIndex& index_;
  const Witness& witness_;
  absl::flat_hash_map<keys::PublicKey, Budget> budgets_;
};

}  // namespace dht
