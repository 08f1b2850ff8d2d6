// SPDX-License-Identifier: Apache-2.0
// overlay/convictions.h — who was caught signing tables that contradict each other (contradiction.h), and what was signed lately.
//
// Two sorts of knowledge, kept apart. *Convicted*: the proof came from others, so acting on it shows nothing. *Caught*:
// convicted, or found out by this process itself. A liar may show a table to one asker only, through a circuit, and watch who
// acts on it: so what this process found out moves nothing but its own choice of relays until the proof comes back from others
// (circuits/contradiction_reports_driver.h sends it there).
// Bounded: kConvictedMax proofs, and kWatchedMax points with kHeadsPerPoint heads each. Keys are free in `local`, so anybody can
// have any number of keys convicted, and show their descriptors before. So known is only who stands in the own table
// (Directory::IsProtected). Three sorts have places of their own, so that none pushes out another: the known; what is heard of
// strangers, who must have worked for their places where a network asks for that, and where only a later proof makes room; and
// what this process found out itself, where the newest always has a place. Not thread-safe: one event loop.
#pragma once

#include <functional>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "overlay/contradiction.h"

namespace overlay {

inline constexpr size_t kConvictedMax = 1024;  // below 1 KiB each; of them:
inline constexpr size_t kStrangersMax = 256, kFoundMax = 64;
inline constexpr absl::Duration kLonger = absl::Hours(24);  // a proof that convicts longer by that is news
inline constexpr size_t kWatchedMax = 512, kHeadsPerPoint = 4;

class Convictions {
 public:
  explicit Convictions(const Network& network) : network_(network) {}

  // A table that verified just now. If it contradicts one seen before, and its signer is not caught yet, on_found is told.
  // `is_known`, here and below: its signer is a node that this one lives by.
  void Observe(const RoutingTable& table, bool is_known, absl::Time wall_now);
  // False, without a look at any signature: its signer is convicted, until about then or later.
  bool IsNews(const Accusation& said, absl::Time wall_now) const;
  // From others. OK: news, and kept. AlreadyExists: none. ResourceExhausted: it is true, but there is no room for it.
  // PermissionDenied: a stranger that did not work for its place; Unavailable also: no memory to look at that. Else as
  // DecodeContradiction.
  absl::Status Hear(base::ByteView encoded, bool is_known, absl::Time wall_now);

  bool IsConvicted(const keys::PublicKey& node_key, absl::Time wall_now) const;
  bool IsCaught(const keys::PublicKey& node_key, absl::Time wall_now) const;
  absl::flat_hash_set<keys::PublicKey> Caught(absl::Time wall_now) const;
  size_t CountConvicted(absl::Time wall_now) const;
  // Up to `count` proofs that came from others, of signers above `cursor`, in the order of their keys.
  std::vector<base::Bytes> ProofsAfter(const keys::PublicKey& cursor, size_t count, absl::Time wall_now) const;

  std::function<void(const Contradiction&)> on_found;

 private:
  enum class Sort { kKnown, kStranger, kFound };
  struct Entry {
    base::Bytes proof;
    absl::Time until;
    bool heard;  // from others
    Sort sort;
  };
  struct Watched {
    std::vector<TableHead> heads;
    absl::Time seen;
  };
  static size_t PlacesOf(Sort sort);
  bool MakeRoom(const Entry& comer, absl::Time wall_now);
  absl::Status CheckWorked(const Peer& stranger) const;
  Watched& WatchedAt(const NodeId& point, absl::Time wall_now);

  const Network network_;
  std::map<keys::PublicKey, Entry> entries_;
  absl::flat_hash_map<NodeId, Watched> watched_;
};

}  // namespace overlay
