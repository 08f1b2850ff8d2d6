// SPDX-License-Identifier: Apache-2.0
// dht/put_rounds.h — puts of clients under way at this node: the contacted replica makes the copies and collects receipts.
//
// The record is admitted here, and while it is being written the other R - 1 responsible nodes get it. Answered when all have
// answered, or kRoundGrace after W receipts, or after kRoundTimeout with what there is. Receipts are verified here unless another
// node asked, which does so itself; but before a round ends early on the strength of them they are verified in any case. New,
// present and deleted ids take the same way and the same time (protocol.md 7). A node that is not responsible passes the put on,
// if it is its own user's.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "dht/admitter.h"
#include "dht/outbox.h"
#include "dht/owner_finder.h"
#include "dht/replica_set.h"
#include "keys/identity.h"

namespace dht {

inline constexpr absl::Duration kRoundTimeout = absl::Seconds(5);
inline constexpr absl::Duration kRoundGrace = absl::Milliseconds(300);  // for the slowest replica, once enough answered
inline constexpr size_t kRoundsMax = 4096;                              // of each sort; at most a record each

enum class PutAsker {
  kUser,      // of this node: passed on if need be
  kEndpoint,  // of this node: never passed on
  kNode,      // another one, which verifies the receipts itself
};

class PutRounds {
 public:
  PutRounds(const overlay::Network& network, const keys::SigningKey& node_key, const RecordKinds& kinds,
            const ReplicaSet& replicas, OwnerFinder& owners, Admitter& admitter, Outbox& out)
      : network_(network),
        node_key_(node_key),
        kinds_(kinds),
        replicas_(replicas),
        admitter_(admitter),
        out_(out),
        owners_(owners) {}

  // `serving`: this node is a member and not leaving. Answers `request` once, with a PutReply or ResourceExhausted.
  void Start(RequestId request, Record record, bool serving, PutAsker asker, const Moment& moment);
  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Round {
    RequestId request;
    PutAsker asker;
    Record record;
    std::vector<overlay::Peer> responsible;        // self among them
    absl::flat_hash_set<keys::PublicKey> waiting;  // who has not answered
    std::vector<Receipt> receipts;
    size_t verified = 0;  // of these, the first ones
    bool copies_sent = false;
    PutResult without_receipts = PutResult::kUnknown;  // what to say if nobody gave one
    absl::Time deadline, last_deadline;
  };
  struct PassedOn {
    RequestId request;
    Record record;
    OwnerTrail trail = {};
  };

  void StartHere(RequestId request, Record record, PutAsker asker, const Moment& moment);
  void SendCopies(uint64_t id);
  void OnLocal(uint64_t id, const AdmitOutcome& outcome, const Moment& moment);
  void OnCopy(uint64_t id, const overlay::Peer& holder, const ReplicateReply* reply, const Moment& moment);
  void Progress(uint64_t id, const Moment& moment);
  void Verify(Round& round) const;
  void Finish(uint64_t id);

  void PassOn(RequestId request, Record record, const Moment& moment);
  OwnerFinder::Found TakeOwners(uint64_t id);
  void TryNext(uint64_t id);
  void OnPassedOn(uint64_t id, const PutReply* reply);

  const overlay::Network& network_;
  const keys::SigningKey& node_key_;
  const RecordKinds& kinds_;
  const ReplicaSet& replicas_;
  Admitter& admitter_;
  Outbox& out_;
  OwnerFinder& owners_;
  absl::flat_hash_map<uint64_t, Round> rounds_;
  absl::flat_hash_map<uint64_t, PassedOn> passed_on_;
};

}  // namespace dht
