// SPDX-License-Identifier: Apache-2.0
// circuits/ring_view.h — what a client knows of the ring: routing tables it has verified, each while it is fresh.
//
// Where one table covers the whole ring, who is responsible for a point is read off it and nothing is looked up; else off the
// stretch of consecutive members around a table's owner, if the point lies on it (protocol.md 6).
// Anybody can sign a table that "covers the ring" with keys of his own. So only a start table counts as covering: a node's own, or
// that of who introduced the client; and one of an introducer that the user did not name has to name everybody whom the client met
// lately and did not lose since. A table that covers a ring of another size than unrelated tables show is not believed either.
// Others that claim to cover the ring say nothing at all.
// Tables that are no start are listened to for kTableHeld, but not longer than kTableFresh once somebody they name is lost: in rings of
// up to kHeldRingMax a node so knows all the time who is responsible for what (circuit_operations_driver.h).
// Bounded: kTablesMax tables, kMetMax nodes met; the oldest goes.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "circuits/path_selector.h"
#include "circuits/ring_density.h"
#include "overlay/network.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kTablesMax = 256;                         // about 10 KiB each
inline constexpr absl::Duration kTableFresh = absl::Seconds(60);  // older than this, a start table says nothing any more
inline constexpr absl::Duration kTableHeld = absl::Minutes(5);    // nor any other
inline constexpr absl::Duration kMetLately = absl::Seconds(30);   // shorter than the above: who died is forgotten in time
inline constexpr size_t kMetMax = 64;

// The first `count` storing processes at or after the point, if this table alone can tell.
std::optional<std::vector<overlay::Peer>> ResponsibleBy(const overlay::Network& network, const overlay::RoutingTable& table,
                                                        const overlay::NodeId& point, size_t count);

class RingView {
 public:
  explicit RingView(const overlay::Network& network) : network_(network) {}

  // A verified table, seen now.
  void Add(const overlay::RoutingTable& table, absl::Time now);
  // One that the density forbids: it counts for that and nothing else, for if the ring has changed, such tables will show it.
  void AddDoubted(const overlay::RoutingTable& table, absl::Time now) {
    if (on_table) on_table(table);
    density_.Add(table, now);
  }
  // One to begin at. `trusted`: the own node's, or of an address that the user named.
  void AddStart(const overlay::RoutingTable& table, bool trusted, absl::Time now);
  // A node proved its key to this client: on a link, or as a hop.
  void OnMet(const keys::PublicKey& node_key, absl::Time now);
  // It could not be reached.
  void OnLost(const keys::PublicKey& node_key);
  // The one of that owner; null if there is none or it is no longer fresh.
  const overlay::RoutingTable* Find(const overlay::NodeId& owner, absl::Time now) const;
  // The newest fresh start table, if it covers the ring and is believed; else null.
  const overlay::RoutingTable* Covering(absl::Time now) const;
  // All members named by the covering table, or by any fresh one; one entry for each process.
  std::vector<overlay::Peer> Members(absl::Time now) const;
  // Owner and replicas of the point; nothing if it has to be looked up.
  std::optional<std::vector<overlay::Peer>> Responsible(const overlay::NodeId& point, absl::Time now) const;
  const RingDensity& density() const { return density_; }

  std::function<void(const overlay::RoutingTable&)> on_table;  // every one that is added

 private:
  struct Seen {
    overlay::RoutingTable table;
    absl::Time when;
    bool start = false, trusted = false;
    bool names_lost = false;  // as owner or neighbour
  };
  Seen& Keep(const overlay::RoutingTable& table, absl::Time now);
  bool IsBelieved(const Seen& seen, absl::Time now) const;
  bool IsFresh(const Seen& seen, absl::Time now) const {
    return now - seen.when <= (seen.start || seen.names_lost ? kTableFresh : kTableHeld);
  }

  const overlay::Network network_;
  absl::flat_hash_map<overlay::NodeId, Seen> tables_;
  absl::flat_hash_map<keys::PublicKey, absl::Time> met_;
  RingDensity density_;
};

}  // namespace circuits
