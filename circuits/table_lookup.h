// SPDX-License-Identifier: Apache-2.0
// circuits/table_lookup.h — who is responsible for a point in a ring that no single table covers (protocol.md 6). A core.
//
// Iterative, over whole tables: each step extends a lookup circuit to the known member that comes closest before the point and
// fetches its table; the point itself is never sent. The circuit is not the one that the operation will use.
// The first table is that of the circuit's last relay, for at whose own table a node begins would tell whose lookup it is. Only where
// a node holds most of the ring (circuit_operations_driver.h) it begins at the nearest member that it knows, a round trip sooner.
// What was learnt stays in the ring view, so that a second lookup, on another circuit, goes on where the first one stopped.
#pragma once

#include "circuits/origin_circuit.h"
#include "circuits/peer_book.h"
#include "circuits/ring_view.h"

namespace circuits {

struct LookupFound {
  std::vector<overlay::Peer> responsible;
};
struct LookupFailed {
  absl::Status why;
};
using LookupStep = std::variant<ExtendStep, TableStep, DescriptorsStep, LookupFound, LookupFailed>;

class TableLookup {
 public:
  struct Options {
    overlay::NodeId point;
    NodeKeys never;  // own node and the circuit's relays: no fourth hop can be one of them
    NodeKeys shun;   // failed lately
    bool from_view = false;
    absl::Duration ahead = absl::ZeroDuration();  // what the view will have forgotten by then counts as not known
  };

  TableLookup(Options options, const RingView& view, const PeerBook& book)
      : options_(std::move(options)), view_(view), book_(book) {}

  LookupStep Begin(absl::Time now, absl::Time wall_now);
  // The fourth hop has been reached.
  LookupStep OnHop();
  // A verified table, already in the view; `hop` is whose.
  LookupStep OnTable(const overlay::RoutingTable& table, absl::Time now, absl::Time wall_now);
  LookupStep OnDescriptors(absl::Time now, absl::Time wall_now);

 private:
  LookupStep Step(absl::Time now, absl::Time wall_now);
  // Those of the responsible whose descriptor is not held.
  std::vector<keys::PublicKey> Missing(absl::Time now, absl::Time wall_now) const;
  bool TableNames(const std::vector<keys::PublicKey>& node_keys) const;
  LookupStep GoOn(absl::Time now, absl::Time wall_now);
  // The member closest before the point that can be asked: named by the table at hand, if any, or with a descriptor that is held.
  std::optional<overlay::Peer> Closest(absl::Time now, absl::Time wall_now) const;
  bool MayAsk(const overlay::Peer& peer, bool named_here, absl::Time now, absl::Time wall_now) const;

  Options options_;
  const RingView& view_;
  const PeerBook& book_;
  std::optional<overlay::RoutingTable> table_;
  size_t hop_ = kRelayHops - 1;
  NodeKeys asked_;  // whose descriptor was asked for: without an answer they are of no use
  std::optional<std::vector<overlay::Peer>> responsible_;
  int questions_ = 0;
};

}  // namespace circuits
