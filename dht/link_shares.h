// SPDX-License-Identifier: Apache-2.0
// dht/link_shares.h — how much of a node's space the puts of one neighbour may take.
//
// A put is taken while what its link brought lately is less than the space that is left. So nobody is limited while there is
// room, one that floods gets half of it, k of them 1/(k + 1) each, and for everybody else there is always some left. "Lately":
// what was brought counts half after each kShareHalfLife. Source: dynamic thresholds for shared memory (Choudhury and Hahne,
// IEEE/ACM Transactions on Networking 1998), with alpha = 1. Counted are puts alone, by the key that TLS proved. Copies between
// replicas are not: who is responsible has to hold them, and each of the R nodes where they can enter counts its own. Puts out of
// circuits have no link to be counted by; their places are bounded by the kind of record. In memory only: no log, forgotten at a
// restart.
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "keys/identity.h"

namespace dht {

inline constexpr absl::Duration kShareHalfLife = absl::Hours(24);
inline constexpr size_t kSharesMax = 4096;  // links remembered, 64 bytes each; then the one that brought least is forgotten

class LinkShares {
 public:
  // Whether `bytes` more of this link may be stored while `free` bytes are left; then they count as brought.
  bool Take(const keys::PublicKey& link, uint64_t bytes, uint64_t free, absl::Time now);

  size_t size() const { return shares_.size(); }

 private:
  struct Share {
    double bytes = 0;
    absl::Time at;  // of that figure
  };
  static double Now(const Share& share, absl::Time now);
  void ForgetLeast(absl::Time now);

  absl::flat_hash_map<keys::PublicKey, Share> shares_;
};

}  // namespace dht
