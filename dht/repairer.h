// SPDX-License-Identifier: Apache-2.0
// dht/repairer.h — when and with whom this replica compares itself: the periodic round, and the download before joining.
//
// A round visits every predecessor range held here with each of both storing neighbours that holds it too, one pull at a time,
// nearest first. It starts kRepairAfterChange after the neighbourhood changed (dropping a round of the old one), then about
// every kRepairEvery. Every range is shared with one neighbour at least, so a whole round without failure means that nothing the
// neighbours have is missing here. A joiner asks one holder after another, next successor first, until one gave all it has.
#pragma once

#include <functional>
#include <vector>

#include "base/rng.h"
#include "dht/range_sync.h"
#include "dht/replica_set.h"
#include "dht/witness.h"
#include "overlay/neighbourhood.h"

namespace dht {

inline constexpr absl::Duration kRepairAfterChange = absl::Seconds(1);  // a second change often follows the first
inline constexpr absl::Duration kRepairEvery = absl::Seconds(10);  // plus or minus a fifth, so that nodes do not march in step
inline constexpr uint64_t kAuditEvery = 32;  // rounds; one of them compares by ranges, whatever symbols seemed to say
inline constexpr int kJoinPasses = 3;        // over all holders, then the join fails

class Repairer {
 public:
  // `healed` runs after every round in which no pull failed.
  Repairer(const ReplicaSet& replicas, RangeSync& sync, Witness& witness, Outbox& out, base::Rng& rng,
           std::function<void()> healed)
      : replicas_(replicas), sync_(sync), witness_(witness), out_(out), rng_(rng), healed_(std::move(healed)) {}

  void OnNeighbourhood(const Moment& moment);
  void OnTick(const Moment& moment);
  absl::Time NextTick() const { return next_round_; }

  // Emits JoinReady: OK at once if nobody else stores, Unavailable when kJoinPasses over all holders failed.
  void StartJoin(const overlay::Neighbourhood& future, size_t replica_count, const Moment& moment);

 private:
  void Continue(const Moment& moment);
  void ContinueJoin(const Moment& moment);
  void EndRound(const Moment& moment);

  const ReplicaSet& replicas_;
  RangeSync& sync_;
  Witness& witness_;
  Outbox& out_;
  base::Rng& rng_;
  std::function<void()> healed_;
  std::vector<SharedRange> plan_;  // what is left of the round, next one last; at most 2 R per virtual node
  bool round_is_clean_ = true;
  uint64_t rounds_ = 0;
  RangeSync::Id running_ = 0;  // 0: none
  absl::Time next_round_ = absl::InfiniteFuture();

  std::vector<overlay::Peer> holders_;  // a joiner's, in the order they are asked
  overlay::RingRange join_range_;
  std::vector<overlay::RingRange> join_parts_;  // its predecessor ranges
  size_t join_asked_ = 0;
};

}  // namespace dht
