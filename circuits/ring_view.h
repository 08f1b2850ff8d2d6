// SPDX-License-Identifier: Apache-2.0
// circuits/ring_view.h — what a client knows of the ring: routing tables it has verified, each while it is fresh.
//
// Where one table covers the whole ring, who is responsible for a point is read off the newest such table and nothing is looked
// up; else off the stretch of consecutive members around a table's owner, if the point lies on it (protocol.md 6).
// Bounded: kTablesMax tables, the oldest goes.
#pragma once

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "circuits/path_selector.h"
#include "overlay/network.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kTablesMax = 256;                         // about 10 KiB each
inline constexpr absl::Duration kTableFresh = absl::Seconds(60);  // older than this it says nothing any more

// The first `count` storing processes at or after the point, if this table alone can tell.
std::optional<std::vector<overlay::Peer>> ResponsibleBy(const overlay::RoutingTable& table, const overlay::NodeId& point,
                                                        size_t count);

class RingView {
 public:
  explicit RingView(const overlay::Network& network) : network_(network) {}

  // A verified table, seen now.
  void Add(const overlay::RoutingTable& table, absl::Time now);
  // The one of that owner; null if there is none or it is no longer fresh.
  const overlay::RoutingTable* Find(const overlay::NodeId& owner, absl::Time now) const;
  // The newest fresh table that covers the ring; null if none does.
  const overlay::RoutingTable* Covering(absl::Time now) const;
  // All members named by the covering table, or by any fresh one; one entry for each process.
  std::vector<overlay::Peer> Members(absl::Time now) const;
  // Owner and replicas of the point; nothing if it has to be looked up.
  std::optional<std::vector<overlay::Peer>> Responsible(const overlay::NodeId& point, absl::Time now) const;
  void Forget() { tables_.clear(); }

 private:
  struct Seen {
    overlay::RoutingTable table;
    absl::Time when;
  };
  bool IsFresh(const Seen& seen, absl::Time now) const { return now - seen.when <= kTableFresh; }

  const overlay::Network network_;
  absl::flat_hash_map<overlay::NodeId, Seen> tables_;
};

}  // namespace circuits
