// SPDX-License-Identifier: Apache-2.0
// dht/get_rounds.h — reads of a record by its name under way at this node.
//
// Answered from the union of this replica and at least one other responsible one (R - W + 1 = 2 in all), so what W replicas
// acknowledged is seen. With fewer the answer is "incomplete", never "absent" (protocol.md 7). A replica that is in
// doubt (witness.h) does not count itself. A record that was found needs no second witness: its kind verified it.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "dht/admitter.h"
#include "dht/outbox.h"
#include "dht/owner_finder.h"
#include "dht/put_rounds.h"
#include "dht/replica_set.h"
#include "dht/witness.h"

namespace dht {

class GetRounds {
 public:
  GetRounds(const RecordKinds& kinds, const RecordStore& store, const ReplicaSet& replicas, const Witness& witness,
            OwnerFinder& owners, Admitter& admitter, Outbox& out)
      : kinds_(kinds), store_(store), replicas_(replicas), witness_(witness), admitter_(admitter), out_(out), owners_(owners) {}

  // Answers `request` once: a GetReply, InvalidArgument for a kind that has no GET, ResourceExhausted.
  void Start(RequestId request, const RecordName& name, bool serving, bool pass_on, const Moment& moment);
  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Round {
    RequestId request;
    RecordName name;
    std::vector<overlay::Peer> responsible;
    absl::flat_hash_set<keys::PublicKey> waiting;
    bool is_blind;      // the own store could not say whether it holds the record: it is no witness that it does not
    int witnesses = 0;  // others that answered
    absl::Time deadline;
  };
  struct PassedOn {
    RequestId request;
    RecordName name;
    OwnerTrail trail = {};
  };

  void StartHere(RequestId request, const RecordName& name, bool is_blind, const Moment& moment);
  bool HasWitnesses(const Round& round, absl::Time now) const;
  void OnFetched(uint64_t id, const overlay::Peer& holder, const FetchReply* reply, const Moment& moment);
  void Finish(uint64_t id, std::optional<Record> record, const Moment& moment);
  bool IsGood(const RecordName& name, const Record& record, const Moment& moment) const;

  void PassOn(RequestId request, const RecordName& name, const Moment& moment);
  OwnerFinder::Found TakeOwners(uint64_t id);
  void TryNext(uint64_t id);
  void OnPassedOn(uint64_t id, const GetReply* reply, const Moment& moment);

  const RecordKinds& kinds_;
  const RecordStore& store_;
  const ReplicaSet& replicas_;
  const Witness& witness_;
  Admitter& admitter_;
  Outbox& out_;
  OwnerFinder& owners_;
  absl::flat_hash_map<uint64_t, Round> rounds_;
  absl::flat_hash_map<uint64_t, PassedOn> passed_on_;
};

}  // namespace dht
