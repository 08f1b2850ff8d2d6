// SPDX-License-Identifier: Apache-2.0
// dht/put_rounds.h — puts of clients under way at this node, which makes the R copies and collects receipts.
//
// A responsible node admits the record, and while it is being written the other R - 1 get it. A node that is not responsible
// gives its own user's put to all R at once (decisions/0019), each of which keeps a copy as a client's. If they were remembered
// and one is not responsible, or W receipts do not come, they are looked up, and who gave no receipt is asked once more. Answered
// when all have answered, or kRoundGrace after W receipts, or after kRoundTimeout with what there is. New, present and deleted
// ids take the same way and the same time (protocol.md 7). Copies go in waves (decisions/0021): what comes while the calls of the
// last wave are under way waits until all of those are over, or for kGather after it left, and then goes as one call to each
// process. So one silent holder holds up one wave. A put alone waits for nothing. A copy that still waits when its round is over
// goes all the same, until kRoundTimeout after it came: a slow holder need not wait for repair. Whose receipt it is the link
// says: it comes from its signer, whose key TLS pinned. So the signature is for those who get it from here: clients behind a
// circuit verify it themselves. Here that is done only before a round ends early, since a holder that gives bad ones is no
// reason to stop waiting for the others.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>

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
inline constexpr absl::Duration kGather = absl::Milliseconds(10);       // beside the 50 ms and more of a call between networks
inline constexpr size_t kRoundsMax = 4096;                              // of each sort; at most a record each
inline constexpr size_t kCopiesWaitingMax = 1024;                       // for one process; beyond it the oldest is left to repair

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
    std::shared_ptr<const Record> record;
    bool is_here = true;                           // false: others are responsible,
    bool remembered = false;                       // as an earlier lookup found;
    bool is_stale = false;                         // one of them says that it is not
    std::vector<overlay::Peer> responsible = {};   // self among them, if it is here
    absl::flat_hash_set<keys::PublicKey> waiting;  // who has not answered
    std::vector<Receipt> receipts = {};
    size_t verified = 0;  // of these, the first ones
    bool copies_queued = false;
    PutResult without_receipts = PutResult::kUnknown;  // what to say if nobody gave one
    uint32_t detail = 0;
    absl::Time deadline = absl::InfiniteFuture(), last_deadline = deadline;
  };

  // Copies on their way to one process, a call at a time. Of one address: a lookup that names another one, which may be a lie,
  // sends nobody else's copies there.
  struct Copy {
    uint64_t round;
    std::shared_ptr<const Record> record;
    absl::Time since;
  };
  struct Lane {
    overlay::Peer to;
    bool replicates;  // Replicate, else Put
    std::deque<Copy> waiting = {};
    bool is_busy = false;
    uint64_t wave = 0;  // of the call under way
  };
  using LaneKey = std::tuple<keys::PublicKey, std::string, bool>;

  void StartHere(RequestId request, Record record, const Moment& moment);
  void QueueCopies(uint64_t id, const Moment& moment);
  void SendWave(const Moment& moment);
  absl::Time WaveDue() const;
  bool SendCopies(const LaneKey& key, Lane& lane, const Moment& moment);
  void OnCopies(const LaneKey& key, const std::vector<uint64_t>& ids, const CopiesReply* reply, const Moment& moment);
  void OnLocal(uint64_t id, const AdmitOutcome& outcome, const Moment& moment);
  void OnCopy(uint64_t id, const overlay::Peer& holder, const std::optional<CopyReply>& reply, const Moment& moment);
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
  std::map<LaneKey, Lane> lanes_;  // of processes with something on its way
  // The last wave: its number, calls of it under way, when it left.
  uint64_t wave_ = 0;
  size_t calls_ = 0;
  absl::Time left_ = absl::InfinitePast();
};

}  // namespace dht
