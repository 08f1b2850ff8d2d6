// SPDX-License-Identifier: Apache-2.0
// dht/range_sync.h — pulls what another replica has of a range and this one lacks, and admits it.
//
// One machine for three uses: repair between neighbours, the download of a joiner, and making a place complete before it is
// listed. Three ways to learn what is missing (Compare):
//   kNothing   Names of the whole range by pages, then Fetch: for a joiner, who has nothing
//   kRanges    Digest; where it differs the range is split into kSplit parts of equal count, each compared again; Names and
//              Fetch of what is too small to split. Range-based reconciliation (Meyer, arXiv 2212.13567): any range, no state
//   kSymbols   Reconcile (coded_symbols.h): a print of 16 bytes, then coded symbols of what is held here under the other's
//              salt, in pages, until it knows what is missing here and gives it; kRanges if that fails or is not understood
// Only pulls, so nobody can be made to store; every record is checked like one from a stranger. What was pulled in vain
// (refused, outranked, deleted here) is not asked for again for kDeclineFor, else two replicas of different opinion would
// exchange the same bytes for ever: among symbols such a record is pretended to be here.
// Below user traffic: one page of records at a time, the next kRepairPace later, and not while writes wait for the disk.
// Resumable: what came before a break is no longer part of the difference.
// Source: Sit, "Storing and Managing Data in a Distributed Hash Table", 2008 (Passing Tone): pull, two neighbours.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dht/admitter.h"
#include "dht/kept_symbols.h"
#include "dht/outbox.h"
#include "dht/range_index.h"
#include "dht/record_store.h"

namespace dht {

inline constexpr absl::Duration kDeclineFor = absl::Minutes(10);
inline constexpr size_t kDeclinedMax = 8192;  // names; beyond it all are forgotten and tried once more

inline constexpr absl::Duration kRepairPace = absl::Milliseconds(5);  // between pages of 48 KiB: 10 MB/s
inline constexpr size_t kSplit = 16;                                  // parts of a range that differs
inline constexpr size_t kSplitLeast = 32;                             // records in a range worth splitting: names cost less

enum class Compare { kNothing, kRanges, kSymbols };

struct SyncOrder {
  overlay::Peer from;
  overlay::RingRange range;
  Compare compare = Compare::kRanges;
  bool as_witness = false;  // the peer must be sure of what it lacks: a suspect store is not enough
};

class RangeSync {
 public:
  using Id = uint64_t;
  // OK: all that the peer has and this replica accepts is on disk here. Unavailable: the peer failed, or is no holder by its own
  // account. ResourceExhausted: no space here.
  using Done = std::function<void(const absl::Status&, const Moment&)>;

  RangeSync(const RecordKinds& kinds, const RecordStore& store, RangeIndex& index, KeptSymbols& symbols, Admitter& admitter,
            Outbox& out)
      : kinds_(kinds), store_(store), index_(index), symbols_(symbols), admitter_(admitter), out_(out) {}

  Id Start(SyncOrder order, Done done, const Moment& moment);
  void Cancel(Id id) { pulls_.erase(id); }  // `done` is not called
  uint64_t pulled() const { return pulled_; }
  uint64_t remaining() const;  // records that are known to be missing and still to come

  void OnTick(const Moment& moment);
  absl::Time NextTick() const;

 private:
  struct Pull {
    SyncOrder order;
    Done done;
    std::vector<overlay::RingRange> ranges = {};  // still to compare, next one last; at most kSplit per level of splitting
    overlay::RingRange range = {};                // whose names are being read
    std::vector<RecordName> missing;              // of the page of names at hand, at most kNamesPageMax
    std::optional<RecordName> cursor = {};
    bool more = true;
    int admitting = 0;
    bool no_space = false;
    // kSymbols
    uint32_t exchange = 0;             // 0: none
    uint64_t expected = 0;             // differences at least, by the counts
    std::unique_ptr<SymbolView> view;  // what is here, from the first symbols on
    size_t sent = 0;                   // symbols
    int pages = 0;
    uint64_t remaining = 0;
    absl::Time resume_at = absl::InfiniteFuture();  // when the next page of records is asked for
  };

  void AskReconcile(Id id, const Moment& moment);
  void OnReconcile(Id id, const ReconcileReply& reply, const Moment& moment);
  void PrepareSymbols(Id id, uint64_t salt, const Moment& moment);
  void SendSymbols(Id id, const Moment& moment);
  void OnRecords(Id id, const ReconcileReply& reply, const Moment& moment);
  void Continue(Id id, ReconcileRequest request);
  void CompareByRanges(Id id, const Moment& moment);
  void NextRange(Id id, const Moment& moment);
  bool SplitRange(Id id, const overlay::RingRange& range);
  void PretendDeclined(const SymbolRow& row, SymbolView& view, const Moment& moment) const;
  void AskDigest(Id id);
  void AskNames(Id id);
  void AskFetch(Id id);
  void OnDigest(Id id, const overlay::RingRange& range, const DigestReply& reply, const Moment& moment);
  void OnNames(Id id, const NamesReply& reply, const Moment& moment);
  void OnFetched(Id id, const std::vector<RecordName>& asked, const FetchReply& reply, const Moment& moment);
  void AdmitOne(Id id, const Record& record, const Moment& moment);
  void Advance(Id id, const Moment& moment);
  void Finish(Id id, const absl::Status& status, const Moment& moment);
  bool Wants(const HeldName& offered, const Moment& moment) const;
  void Decline(const RecordName& name, absl::Time expiry, const Moment& moment);
  // Hands the answer on, or ends the pull if it is none.
  template <typename T>
  Outbox::ReplyHandler Expect(Id id, std::function<void(const T&, const Moment&)> handle);

  const RecordKinds& kinds_;
  const RecordStore& store_;
  RangeIndex& index_;
  KeptSymbols& symbols_;
  Admitter& admitter_;
  Outbox& out_;
  absl::flat_hash_map<Id, Pull> pulls_;
  struct Declined {
    absl::Time until;
    keys::Digest print;
  };
  absl::flat_hash_map<RecordName, Declined> declined_;
  uint64_t pulled_ = 0;
};

}  // namespace dht
