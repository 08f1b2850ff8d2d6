// SPDX-License-Identifier: Apache-2.0
// dht/replicator.h — the replicated store of one node, as a core: events in, actions out; reads of the store through its port.
//
// Source: Chord's storage on top (Dabek et al., CFS 2001; Sit 2008); quorums R = 3, W = 2 (design.md 4, protocol.md 7).
// Its parts, each a file: put_rounds (quorum writes), get_rounds and place_syncs (reads from two replicas), range_server and
// range_sync (ranges between replicas), range_index (what is held, in memory), repairer (when), offers (spare copies, leaving),
// admitter (one way into the store). Promises, checked in simulation (tests/dht/replicator_sim_test.cc):
//  - a record with W receipts is on W disks, and is never lost while fewer than W of its holders die before repair made R
//    copies again;
//  - nothing is stored that its kind does not accept, whoever brought it; a relay stores nothing; no neighbour's puts may take
//    more space than is left to the others (link_shares.h);
//  - a copy is given up only for receipts of all R nodes that are responsible for it.
// Hostile peers: can withhold and refuse; cannot forge a record or a receipt, read ranges they may not hold, or push: a copy is
// taken from neighbours and holders only, a put is judged as a client's. Not thread-safe: one event loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "dht/admitter.h"
#include "dht/outbox.h"
#include "dht/record.h"
#include "dht/record_store.h"
#include "dht/replica_set.h"
#include "keys/identity.h"
#include "overlay/neighbourhood.h"

namespace dht {

struct ReplicatorOptions {
  overlay::Network network;         // its name, R and W
  uint64_t bytes_max = 2ull << 30;  // of bodies and headers; beyond it the node says kNoSpace
};

inline constexpr absl::Duration kSweepEvery = absl::Seconds(1);  // expired records are removed in batches
inline constexpr size_t kSweepNames = 256;                       // looked at each time: a million in about an hour

struct ReplicatorStats {
  uint64_t records = 0;    // held and not expired
  uint64_t owned = 0;      // of these, in the arc whose owner is self
  uint64_t misplaced = 0;  // of these, spare copies: held for others until they have them
  uint64_t bytes = 0;
  uint64_t repaired = 0;   // pulled from other replicas since the start
  uint64_t repairing = 0;  // known to be missing here and still to come
  std::string state;       // "ok", "full", "failing", "suspect", "none" (stores nothing)
};

// Who asks: a node by the key that TLS proved, with its verified virtual nodes, or a client (none).
struct DhtCaller {
  keys::PublicKey node_key;
  std::vector<overlay::Peer> peers;
};

class Replicator {
 public:
  // All references outlive it. Reads the names of the whole store once (range_index.h): about a second for 10^6.
  Replicator(ReplicatorOptions options, const keys::SigningKey& node_key, const RecordKinds& kinds, const RecordStore& store,
             base::Rng& rng);
  ~Replicator();

  DhtActions OnNeighbourhood(const overlay::Neighbourhood& neighbourhood, const Moment& moment);
  // Of this node's own user or endpoint. `pass_on`: to who is responsible, if this node is not.
  DhtActions OnPut(RequestId request, Record record, bool pass_on, const Moment& moment);
  DhtActions OnGet(RequestId request, const RecordName& name, bool pass_on, const Moment& moment);
  DhtActions OnSyncPlace(RequestId request, const overlay::NodeId& point, const Moment& moment);
  // Of another process. Answered once with Respond; errors: PermissionDenied (a client, or no holder), Unavailable (this node
  // answers for no key just now), ResourceExhausted.
  DhtActions OnRequest(RequestId request, const DhtCaller& caller, DhtRequest message, const Moment& moment);

  DhtActions OnReply(CallId call, const absl::StatusOr<DhtReply>& reply, const Moment& moment);
  DhtActions OnOwners(CallId lookup, const absl::StatusOr<std::vector<overlay::Peer>>& owners, const Moment& moment);
  DhtActions OnApplied(WriteId write, const absl::Status& status, const Moment& moment);

  // Emits JoinReady once.
  DhtActions PrepareJoin(const overlay::Neighbourhood& future, const Moment& moment);
  // Emits HandedOver once; from now on this node answers for no key.
  DhtActions HandOver(absl::Time deadline, const Moment& moment);

  DhtActions OnTick(const Moment& moment);
  absl::Time NextTick() const;

  const ReplicaSet& replicas() const;
  ReplicatorStats Stats() const;  // O(log n)

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dht
