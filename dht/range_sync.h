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
// Repair is below user traffic: one page of records at a time, the next kRepairPace later, and not while writes wait for the
// disk. A download has kFetchesInFlight pages under way, within what the giver's budget for one process allows.
// Resumable: what came before a break is no longer part of the difference.
// Hostile givers: names must strictly go on around the ring, records shrink what is left, which is at most what symbols can tell,
// both inside the range asked for; what they name and do not give, or give and is here or refused, is bounded, and so is the time
// they take for it. They can only waste one pull at a time, which ends as Unavailable.
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

inline constexpr absl::Duration kRepairPace = absl::Milliseconds(11);  // between pages of 112 KiB: 10 MB/s
// A download before joining: pages of records under way at once, so that the giver reads while the last ones travel and are
// written; and records that may wait for the disk meanwhile, each at most kRecordBodyMax.
inline constexpr int kFetchesInFlight = 3;
inline constexpr int kAdmittingMax = 1024;
inline constexpr size_t kFetchNamesFirst = 64;  // asked for in one page until it shows how many fit
// A giver that names what it does not give, or ever more, is no use: names of one pull, and those of them that did not come.
inline constexpr uint64_t kPullNamesMax = kIndexedMax;
inline constexpr uint64_t kPullHollowMax = 16 * 1024;  // what expired, was deleted or came by another way meanwhile is far less
// One that drips is given up for the next: after kPullGrace a pull goes on only while it brought kPullRateLeast bytes a second,
// an answer counting as kPullAnswerWorth and what is in the records. Time that it waits for the own disk does not count.
inline constexpr absl::Duration kPullGrace = absl::Seconds(60);
inline constexpr uint64_t kPullRateLeast = 8 * 1024;
inline constexpr uint64_t kPullAnswerWorth = 1024;  // a comparison of many small answers over a slow way: 125 ms each
inline constexpr size_t kPullDoubtsMax = 256;          // parts that are told; beyond it all of the range is doubted
inline constexpr size_t kSplit = 16;                   // parts of a range that differs
inline constexpr size_t kSplitLeast = 32;              // records in a range worth splitting: names cost less

enum class Compare { kNothing, kRanges, kSymbols };

struct SyncOrder {
  overlay::Peer from;
  overlay::RingRange range;
  Compare compare = Compare::kRanges;
  std::vector<overlay::RingRange> confirm = {};  // kNothing: parts whose prints are compared after the download
};

struct SyncOutcome {
  // OK: all that the peer has and this replica accepts is on disk here. Unavailable: the peer failed, or is no holder by its own
  // account. ResourceExhausted: no space here.
  absl::Status status;
  bool by_witness = false;  // OK, and the peer said what it is in doubt about (witness.h)
  std::vector<overlay::RingRange> doubts = {};

  bool IsWitness() const { return by_witness && doubts.empty(); }
};

class RangeSync {
 public:
  using Id = uint64_t;
  using Done = std::function<void(const SyncOutcome&, const Moment&)>;

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
    std::vector<RecordName> missing;              // named, and not yet asked for: at most two pages
    size_t fetch_names = kFetchNamesFirst;        // of the next page of records
    int fetching = 0;                             // pages of records under way
    bool asks_names = false;
    std::optional<RecordName> cursor = {};
    bool more = true;
    uint64_t named = 0, hollow = 0;  // names read; of these, and of records that came, in vain
    absl::Time begun;                // later by what it waited for the own disk
    uint64_t earned = 0;             // bytes (kPullRateLeast)
    int admitting = 0;
    bool no_space = false;
    bool compared = false;  // some answer told what the peer is in doubt about
    std::vector<overlay::RingRange> doubts = {};
    // kSymbols
    uint32_t exchange = 0;             // 0: none
    uint64_t expected = 0;             // differences at least, by the counts
    std::unique_ptr<SymbolView> view;  // what is here, from the first symbols on
    size_t sent = 0;                   // symbols
    int pages = 0;
    uint64_t remaining = 0;
    absl::Time resume_at = absl::InfiniteFuture();  // when the next page of records is asked for
  };

  void TakeDoubts(Pull& pull, const overlay::RingRange& range, bool suspect, const std::vector<overlay::RingRange>& doubts);
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
  void Pump(Id id);
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
