// SPDX-License-Identifier: Apache-2.0
// dht/owner_cache.h — who was responsible for which arcs when last looked up: spares most puts and gets of a user their lookup.
//
// A lookup of x that names the owners o1, o2, ... says the same of every point from x to o1. What is remembered may be stale: the
// processes named then say that they are not responsible, give too few countable receipts, or do not answer, and the caller looks
// up again (Forget). At most kOwnerArcsMax arcs, each for kOwnersFor.
#pragma once

#include <map>
#include <vector>

#include "absl/time/time.h"
#include "overlay/peer.h"

namespace dht {

inline constexpr size_t kOwnerArcsMax = 512;  // about 500 bytes each; beyond it all are learned anew
inline constexpr absl::Duration kOwnersFor = absl::Minutes(1);

class OwnerCache {
 public:
  // `owners`: the first storing processes at or after the point, nearest first.
  void Learn(const overlay::NodeId& point, const std::vector<overlay::Peer>& owners, absl::Time now);
  std::vector<overlay::Peer> Find(const overlay::NodeId& point, absl::Time now) const;  // empty: not known
  void Forget(const overlay::NodeId& point);

 private:
  struct Arc {
    overlay::NodeId first;  // the lowest point known to be the owner's
    std::vector<overlay::Peer> owners;
    absl::Time until;
  };
  using Arcs = std::map<overlay::NodeId, Arc>;  // by the owner's point
  Arcs::const_iterator ArcOf(const overlay::NodeId& point) const;

  Arcs arcs_;
};

}  // namespace dht
