// SPDX-License-Identifier: Apache-2.0
// circuits/peer_book.h — what a client remembers of nodes: their descriptors, and who failed it lately.
//
// The ring's directory is read, never written: whoever asks the node's ring something learns by the answer whether it holds a
// descriptor (ring_publisher.cc), and must not learn so whom its user looked up. What circuits bring is kept apart.
// A node that could not be reached is shunned for kBlameFor: taken only when nobody else is left. Its descriptor counts as
// missing until it is asked for again, for a node that was started anew has a new onion key. The blame may be wrong (the hop
// before may have failed), so it excludes nobody for good.
// One that signed a table which cannot be true (table_check.h) is shunned for kDistrustFor, whatever it does meanwhile: nobody else can
// have signed it, but one honest table in 1,000 looks like that, and all of them while a ring shrinks to half within minutes.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "circuits/path_selector.h"
#include "overlay/directory.h"

namespace circuits {

inline constexpr absl::Duration kBlameFor = absl::Seconds(20);
inline constexpr absl::Duration kDistrustFor = absl::Minutes(10);
inline constexpr size_t kBlamedMax = 1024;  // and as many distrusted

class PeerBook {
 public:
  explicit PeerBook(overlay::Directory& ring) : ring_(ring), learned_(ring.network()) {}

  // A descriptor heard from anyone; what does not verify is dropped. True if it was kept or is known.
  bool Add(base::ByteView encoded, absl::Time now, absl::Time wall_now);
  // Nothing also for a node that is blamed and whose descriptor was not heard again since.
  std::optional<overlay::Descriptor> Find(const keys::PublicKey& node_key, absl::Time now, absl::Time wall_now) const;
  // Blamed or not; the newest that is known.
  std::optional<overlay::Descriptor> FindAny(const keys::PublicKey& node_key, absl::Time wall_now) const;

  // Whether the work that the network asks for was done for this peer's place.
  bool IsAdmitted(const overlay::Peer& peer, absl::Time wall_now);

  void Blame(const keys::PublicKey& node_key, absl::Time now);
  void Absolve(const keys::PublicKey& node_key) { blamed_.erase(node_key); }
  // True if it is news.
  bool Distrust(const keys::PublicKey& node_key, absl::Time now);
  // And the distrusted.
  NodeKeys Blamed(absl::Time now) const;
  // Who contradicts itself (overlay/convictions.h): never a hop.
  NodeKeys Caught(absl::Time wall_now) const { return ring_.convictions().Caught(wall_now); }

 private:
  struct BlamedNode {
    absl::Time until;
    bool heard_again = false;
  };
  overlay::Directory& ring_;
  overlay::Directory learned_;  // its convictions are nobody's: the ring's count
  absl::flat_hash_map<keys::PublicKey, BlamedNode> blamed_;
  absl::flat_hash_map<keys::PublicKey, absl::Time> distrusted_;  // until then
};

}  // namespace circuits
