// SPDX-License-Identifier: Apache-2.0
// dht/offers.h — copies that have to go elsewhere: spare ones after a change of range, all of them before leaving.
//
// A record outside the range held is a *spare* copy: it is still answered, and offered to its responsible nodes until each of
// them gave a receipt (or its kind decided against it); only then it is removed. Neighbours get it as a replica's copy
// (Replicate); nodes too far to be neighbours are found by lookup and asked like a client would (Put), since they cannot know
// us for a holder. A leaver offers everything to the R processes that will hold it without him, and removes nothing. When nobody
// can take anything, as when a whole ring stops at once, the leaver gives up after kLeaveVainPasses and not at its deadline.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "dht/admitter.h"
#include "dht/outbox.h"
#include "dht/record_store.h"
#include "dht/replica_set.h"

namespace dht {

inline constexpr absl::Duration kOffersAfterChange = absl::Seconds(3);  // repair has pulled most of it by then
inline constexpr absl::Duration kOffersEvery = absl::Seconds(10);       // a pass over what is left
inline constexpr absl::Duration kOfferPace = absl::Milliseconds(50);    // between batches of spare copies: 320 records a second
inline constexpr absl::Duration kLeavePassPause = absl::Milliseconds(500);
inline constexpr int kLeaveVainPasses = 4;     // in a row, two seconds and more: the ring had time to name others
inline constexpr size_t kOffersInFlight = 16;  // records, each to R nodes
inline constexpr size_t kLeaveOffersInFlight = 48;

class Offers {
 public:
  Offers(const std::string& network, size_t replica_count, const ReplicaSet& replicas, const RecordStore& store,
         Admitter& admitter, Outbox& out)
      : network_(network), replica_count_(replica_count), replicas_(replicas), store_(store), admitter_(admitter), out_(out) {}

  void OnNeighbourhood(const Moment& moment);
  // Emits HandedOver once: complete when a pass had a receipt for every record from all who will hold it.
  void StartLeaving(absl::Time deadline, const Moment& moment);
  bool leaving() const { return leave_deadline_.has_value(); }

  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Offer {
    Record record;
    absl::flat_hash_set<keys::PublicKey> waiting;  // who has to answer
    bool failed = false;
  };
  std::optional<overlay::RingRange> Range() const;
  bool HasToGo(const overlay::NodeId& point) const;
  std::vector<overlay::Peer> Takers(const overlay::NodeId& point) const;
  void Fill(const Moment& moment);
  void Begin(const RecordName& name, const Moment& moment);
  void OfferTo(uint64_t id, const std::vector<overlay::Peer>& takers, bool is_far);
  void OfferFar(uint64_t id);
  void Answered(uint64_t id, const keys::PublicKey& taker, bool settled, const Moment& moment);
  void End(uint64_t id, bool settled, const Moment& moment);
  void EndPass(const Moment& moment);
  void FinishLeaving(bool complete);

  const std::string network_;
  const size_t replica_count_;
  const ReplicaSet& replicas_;
  const RecordStore& store_;
  Admitter& admitter_;
  Outbox& out_;

  absl::flat_hash_map<uint64_t, Offer> offers_;
  bool in_pass_ = false;
  bool scanned_all_ = false;
  bool pass_is_clean_ = true;
  bool pass_is_vain_ = true;  // nobody who was offered something could have taken it: gone, or leaving too
  int vain_passes_ = 0;       // in a row
  std::optional<RecordName> cursor_;
  absl::Time next_ = absl::InfiniteFuture();  // next batch or next pass
  std::optional<absl::Time> leave_deadline_;
  bool handed_over_ = false;
};

}  // namespace dht
