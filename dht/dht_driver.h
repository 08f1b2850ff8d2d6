// SPDX-License-Identifier: Apache-2.0
// dht/dht_driver.h — the store of one node, running: the replicator core on an event loop, its calls over RpcClient, its service
// on RpcServer, its writes on workers. Requests that read a page of a range are answered one in each turn of the loop, so that
// what users put and get waits for one of them at most, however many a joiner has under way.
//
// Everything on the loop's thread; callbacks are never made from inside the call that asked. Callers outlive nothing: a pending
// `done` is dropped with the driver. A relay-only node has one over an empty MemoryRecordStore: it stores nothing, and passes
// puts and gets of its control socket on to who is responsible.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "dht/dht_messages.h"
#include "dht/record.h"
#include "dht/record_store.h"
#include "dht/replicator.h"
#include "keys/identity.h"
#include "overlay/neighbourhood.h"
#include "overlay/rpc.h"

namespace dht {

using PutOutcome = PutReply;  // stored if result is kStored and receipts.size() >= W
using GetOutcome = GetReply;

// What the driver needs of the ring. All callbacks on the loop's thread.
struct DhtPorts {
  // The first storing processes at or after a point, nearest first, self among them if it is one; at least R if there are.
  std::function<void(const overlay::NodeId& point, std::function<void(absl::StatusOr<std::vector<overlay::Peer>>)> done)> lookup;
  // The virtual nodes of a process whose descriptor was verified; empty for anybody else. (Directory::Find, Descriptor::ToPeer.)
  std::function<std::vector<overlay::Peer>(const keys::PublicKey& node_key)> peers_of;
  // Shows the own descriptor to a node that does not know it (Describe). May be empty.
  std::function<void(const overlay::Peer& to, std::function<void(absl::Status)> done)> introduce;
  // A record that this node takes, twice: as its write begins, when store() does not have it yet, and once it is on disk. May be
  // empty.
  std::function<void(const Record&)> on_record;
};

class DhtDriver {
 public:
  // All references outlive the driver, and the driver outlives every handler that `server` may still run.
  DhtDriver(ReplicatorOptions options, const keys::SigningKey& node_key, const RecordKinds& kinds, RecordStore& store,
            base::EventLoop& loop, base::Rng& rng, overlay::RpcServer& server, overlay::RpcClient& client, DhtPorts ports);
  ~DhtDriver();

  // A put with all its copies, made here if this node is responsible, else at one that is. Judged as a client's
  // (Source::kClient). ResourceExhausted: too many under way. Otherwise the outcome says all.
  void Put(Record record, std::function<void(absl::StatusOr<PutOutcome>)> done);
  // Like Put, but kNotResponsible instead of passing it on: what an endpoint of circuits answers from.
  void PutHere(Record record, std::function<void(absl::StatusOr<PutOutcome>)> done);
  void Get(const RecordName& name, std::function<void(absl::StatusOr<GetOutcome>)> done);
  // Makes this replica's view of a place contain what another responsible replica holds there. False: nobody else answered, or
  // this node is not responsible: a list would be incomplete. Then read the place from store().
  void SyncPlace(const overlay::NodeId& point, std::function<void(bool complete)> done);

  const RecordStore& store() const { return store_; }
  // The responsible processes as this node knows them; empty if the point lies too far away.
  std::vector<overlay::Peer> Responsible(const overlay::NodeId& point) const;
  bool IsResponsible(const overlay::NodeId& point) const;

  // The ring changed, or this node became or ceased to be a member. Once per virtual node.
  void OnNeighbourhood(const overlay::Neighbourhood& neighbourhood);
  // Before membership: downloads what this node will hold at that place of the ring. Unavailable: no holder answered.
  void PrepareJoin(const overlay::Neighbourhood& future, std::function<void(absl::Status)> done);
  // Before leaving: gives every record to those who will hold it; false when the deadline (loop time) came first. Puts are
  // refused from now on, reads go on.
  void HandOver(absl::Time deadline, std::function<void(bool complete)> done);

  ReplicatorStats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with callbacks, which find it stopped once the driver is gone
  const RecordStore& store_;
};

}  // namespace dht
