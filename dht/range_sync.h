// SPDX-License-Identifier: Apache-2.0
// dht/range_sync.h — pulls what another replica has of a range and this one lacks: Digest, Names by pages, Fetch, Admit.
//
// One machine for three uses: repair between neighbours, the download of a joiner, and making a place complete before it is
// listed. Only pulls, so nobody can be made to store; every record is checked like one from a stranger. What was pulled in vain
// (refused, outranked, deleted here) is not asked for again for kDeclineFor, else two replicas of different opinion would
// exchange the same bytes for ever.
// Source: Sit, "Storing and Managing Data in a Distributed Hash Table", 2008 (Passing Tone): pull, two neighbours.
#pragma once

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dht/admitter.h"
#include "dht/outbox.h"
#include "dht/record_store.h"

namespace dht {

inline constexpr absl::Duration kDeclineFor = absl::Minutes(10);
inline constexpr size_t kDeclinedMax = 8192;  // names; beyond it all are forgotten and tried once more

struct SyncOrder {
  overlay::Peer from;
  overlay::RingRange range;
  bool compare_first = true;  // a Digest may show that there is nothing to do; false for a joiner, who has nothing
  bool as_witness = false;    // the peer must be sure of what it lacks: a suspect store is not enough
};

class RangeSync {
 public:
  using Id = uint64_t;
  // OK: all that the peer has and this replica accepts is on disk here. Unavailable: the peer failed, or is no holder by its own
  // account. ResourceExhausted: no space here.
  using Done = std::function<void(const absl::Status&, const Moment&)>;

  RangeSync(const RecordKinds& kinds, const RecordStore& store, Admitter& admitter, Outbox& out)
      : kinds_(kinds), store_(store), admitter_(admitter), out_(out) {}

  Id Start(SyncOrder order, Done done, const Moment& moment);
  void Cancel(Id id) { pulls_.erase(id); }  // `done` is not called
  uint64_t pulled() const { return pulled_; }

 private:
  struct Pull {
    SyncOrder order;
    Done done;
    std::vector<RecordName> missing;  // of the page of names at hand, at most kNamesPageMax
    std::optional<RecordName> cursor = {};
    bool more = true;
    int admitting = 0;
    bool no_space = false;
  };

  void AskDigest(Id id);
  void AskNames(Id id);
  void AskFetch(Id id);
  void OnDigest(Id id, const DigestReply& reply, const Moment& moment);
  void OnNames(Id id, const NamesReply& reply, const Moment& moment);
  void OnFetched(Id id, const std::vector<RecordName>& asked, const FetchReply& reply, const Moment& moment);
  void AdmitOne(Id id, const Record& record, const Moment& moment);
  void Advance(Id id, const Moment& moment);
  void Finish(Id id, const absl::Status& status, const Moment& moment);
  bool Wants(const HeldName& offered, const Moment& moment) const;
  void Decline(const RecordName& name, const Moment& moment);
  // Hands the answer on, or ends the pull if it is none.
  template <typename T>
  Outbox::ReplyHandler Expect(Id id, std::function<void(const T&, const Moment&)> handle);

  const RecordKinds& kinds_;
  const RecordStore& store_;
  Admitter& admitter_;
  Outbox& out_;
  absl::flat_hash_map<Id, Pull> pulls_;
  absl::flat_hash_map<RecordName, absl::Time> declined_;  // until when
  uint64_t pulled_ = 0;
};

}  // namespace dht
