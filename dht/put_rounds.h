// SPDX-License-Identifier: Apache-2.0
// dht/put_rounds.h — puts of clients under way at this node, which makes the R copies and collects receipts.
//
// A responsible node admits the record, and while it is being written the other R - 1 get it. A node that is not responsible
// gives its own user's put to all R at once (decisions/0019), each of which keeps a copy as a client's; what comes for one
// process while a call to it is under way goes together with the next. If they were remembered and one is not responsible, or W
// receipts do not come, they are looked up and asked once more. Answered when all have answered, or kRoundGrace after W receipts,
// or after kRoundTimeout with what there is. New, present and deleted ids take the same way and the same time (protocol.md 7).
// Whose receipt it is the link says: it comes from its signer, whose key TLS pinned. So the signature is for those who get it
// from here: clients behind a circuit verify it themselves. Here that is done only before a round ends early, since a holder that
// gives bad ones is no reason to stop waiting for the others.
#pragma once

#include <deque>

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

  // `serving`: this node is a member and not leaving; `pass_on`: the put is its own user's. Answers `request` once, with a
  // PutReply or ResourceExhausted.
  void Start(RequestId request, Record record, bool serving, bool pass_on, const Moment& moment);
  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Round {
    RequestId request;
    Record record;
    bool is_here = true;                           // false: others are responsible,
    bool remembered = false;                       // as an earlier lookup found;
    bool is_stale = false;                         // one of them says that it is not
    std::vector<overlay::Peer> responsible = {};   // self among them, if it is here
    absl::flat_hash_set<keys::PublicKey> waiting;  // who has not answered
    std::vector<Receipt> receipts = {};
    size_t verified = 0;  // of these, the first ones
    bool copies_sent = false;
    PutResult without_receipts = PutResult::kUnknown;  // what to say if nobody gave one
    uint32_t detail = 0;
    absl::Time deadline = absl::InfiniteFuture(), last_deadline = deadline;
  };

  // Records on their way to one process: a call at a time.
  struct Lane {
    overlay::Peer to;
    std::deque<uint64_t> waiting = {};  // rounds
    bool is_busy = false;
  };

  void StartHere(RequestId request, Record record, const Moment& moment);
  void SendCopies(uint64_t id);
  void SendPuts(const keys::PublicKey& to);
  void OnPuts(const overlay::Peer& to, const std::vector<uint64_t>& ids, const CopiesReply* reply, const Moment& moment);
  void OnLocal(uint64_t id, const AdmitOutcome& outcome, const Moment& moment);
  void OnCopy(uint64_t id, const overlay::Peer& holder, const std::optional<ReplicateReply>& reply, const Moment& moment);
  void Progress(uint64_t id, const Moment& moment);
  void Verify(Round& round) const;
  void Finish(uint64_t id);

  void PassOn(RequestId request, Record record, const Moment& moment);
  OwnerFinder::Found TakeOwners(uint64_t id);

  const overlay::Network& network_;
  const keys::SigningKey& node_key_;
  const RecordKinds& kinds_;
  const ReplicaSet& replicas_;
  Admitter& admitter_;
  Outbox& out_;
  OwnerFinder& owners_;
  absl::flat_hash_map<uint64_t, Round> rounds_;
  absl::flat_hash_map<keys::PublicKey, Lane> lanes_;  // of processes with something on its way
};

}  // namespace dht
