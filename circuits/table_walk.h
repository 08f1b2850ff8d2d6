// SPDX-License-Identifier: Apache-2.0
// circuits/table_walk.h — the path of a new circuit (design.md 7). A core: it says what to do next, its owner does it on the circuit
// and reports.
//
// Where there are choices — the secret pool, or all members of a small ring — middle and last hop come out of these, uniformly, and
// no table is fetched. Else it is a walk over finger tables, each next one fetched through the partial circuit:
//   guard -> its table, over hop 1 -> middle -> its table, over hop 2 -> last
// No relay but the guard sees whose circuit it is, and none but itself and its neighbours on the path. In a walk a table that the
// density of the ring does not allow ends it (table_check.h).
// Every hop is another process; never the own node, never the storage node that the circuit is meant for.
// Before the next hop can be asked for, its descriptor must be known: the hop whose table named it is asked. Where that table
// covers the ring, all missing descriptors are asked for at once, so that the question says nothing.
#pragma once

#include <variant>

#include "circuits/origin_circuit.h"
#include "circuits/path_selector.h"
#include "circuits/peer_book.h"

namespace circuits {

struct WalkReady {};
struct WalkFailed {
  absl::Status why;
};
using WalkStep = std::variant<ExtendStep, TableStep, DescriptorsStep, WalkReady, WalkFailed>;

class TableWalk {
 public:
  struct Options {
    HopRules rules;
    std::vector<overlay::Peer> choices;  // empty: walk
    bool is_ring = false;                // the choices are all members of the ring, so every hop knows their descriptors
    std::optional<double> mean_gap;      // of the ring, for what a walk meets; nothing while it is not known
    NodeKeys holders;  // of the place the circuit is for: as relays they would see both ends, so they are taken last. A kept guard
                       // that holds it is better than a new one: who meets fewer guards meets fewer hostile ones
    NodeKeys refusing;  // whose circuits die (relay_record.h): shunned behind the guard
    std::optional<keys::PublicKey> not_last;  // another last hop, if there is any choice
    std::optional<overlay::Peer> last;        // this one
  };

  TableWalk(Options options, const PeerBook& book, base::Rng& rng);

  // What the guard is chosen by (guard_set.h): as relays, holders are taken last.
  HopRules GuardRules() const;
  // The circuit has this hop now.
  WalkStep OnHop(const keys::PublicKey& node_key, const std::string& address, absl::Time now, absl::Time wall_now);
  // The last hop's own table, verified. Failed if it is another's, or leads nowhere.
  WalkStep OnTable(const overlay::RoutingTable& table, absl::Time now, absl::Time wall_now);
  // What the hop answered has been put into the book.
  WalkStep OnDescriptors(absl::Time now, absl::Time wall_now);

  const std::vector<keys::PublicKey>& path() const { return path_; }

 private:
  WalkStep Next(absl::Time now, absl::Time wall_now);
  DescriptorsStep AskFor(const overlay::Peer& next, absl::Time now, absl::Time wall_now);
  std::optional<overlay::Peer> ChooseNext();

  Options options_;
  const PeerBook& book_;
  base::Rng& rng_;
  std::vector<keys::PublicKey> path_;
  std::optional<overlay::RoutingTable> table_;
  std::optional<overlay::Peer> next_;
  int questions_ = 0;
};

}  // namespace circuits
