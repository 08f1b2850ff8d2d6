// SPDX-License-Identifier: Apache-2.0
// dht/admitter.h — the one way into and out of the store: decides what becomes of records, and groups their synced writes.
//
// A kind judges a record against what is held at its place (RecordKind::Admit). While a write for a place is under way, later
// records for it wait, so every judgement sees the outcome of the one before; records of one batch see each other. Whatever
// arrives while a write runs (kWritesInFlight of them if much waits) becomes the next batch: one disk sync for all of it. What is
// on disk goes into the index of names (range_index.h).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "dht/outbox.h"
#include "dht/range_index.h"
#include "dht/record.h"
#include "dht/record_store.h"

namespace dht {

enum class AdmitResult {
  kStored,   // on disk
  kAlready,  // held as long already, or deleted, or outranked
  kFull,     // the place is full for it
  kNoSpace,  // the node's quota or its disk
  kFailed,   // the write failed, or the queue is full
};

struct AdmitOutcome {
  AdmitResult result = AdmitResult::kFailed;
  uint32_t detail = 0;
};

inline constexpr size_t kAdmitQueueMax = 8192;   // records waiting; at most 512 MiB of bodies, in practice envelopes: 16 MiB
inline constexpr size_t kBatchRecordsMax = 512;  // of one write: a few milliseconds of disk
inline constexpr size_t kBatchBytesMax = 2 * 1024 * 1024;
inline constexpr int kWritesInFlight = 2;      // one on the disk, one getting ready
inline constexpr size_t kQueueForSecond = 32;  // records waiting; with fewer they had better share the next sync

class Admitter {
 public:
  using Done = std::function<void(const AdmitOutcome&, const Moment&)>;
  using Begun = std::function<void(const Moment&)>;

  Admitter(const RecordKinds& kinds, const RecordStore& store, RangeIndex& index, uint64_t bytes_max, Outbox& out)
      : kinds_(kinds), store_(store), index_(index), bytes_max_(bytes_max), out_(out) {}

  // The record has passed RecordKinds::Check. `begun` (may be empty) runs once the place takes it, before it is written, and
  // never for one that is refused as kFull: its copies would take the places of others at the other replicas. `done` when it is
  // on disk or decided otherwise. Either may run at once. From a client even a record that needs no write gets one, so that new,
  // present and deleted ids take the same time.
  void Admit(Record record, Source source, Begun begun, Done done, const Moment& moment);
  // Removes records without asking their kind: expired, handed over, damaged. One that was put again meanwhile, to expire later
  // than what is given here, stays.
  void Remove(const std::vector<HeldName>& names, const Moment& moment);

  void OnApplied(WriteId id, const absl::Status& status, const Moment& moment);

  size_t waiting() const { return queue_.size(); }
  bool idle() const { return queue_.empty() && writes_.empty(); }

 private:
  struct Job {
    std::optional<Record> record = {};  // nothing: a removal
    Source source = Source::kReplica;
    RecordName name;         // its place is what is locked
    absl::Time expiry = {};  // of a removal
    Begun begun = {};
    Done done = {};
  };
  struct Decided {
    Job job;
    AdmitOutcome outcome;
    bool needs_write = false;
  };
  struct Batch;

  void Pump(const Moment& moment);
  std::vector<Job> TakeJobs();
  AdmitOutcome Decide(Job& job, Batch& batch);
  AdmitOutcome DecideRemoval(const Job& job, Batch& batch);
  bool HasRoom(uint64_t size, const Batch& batch) const;
  void Submit(std::vector<Decided> decided, WriteBatch writes, const Moment& moment);

  const RecordKinds& kinds_;
  const RecordStore& store_;
  RangeIndex& index_;
  const uint64_t bytes_max_;
  Outbox& out_;
  std::deque<Job> queue_;
  absl::flat_hash_set<overlay::NodeId> busy_places_;  // places with a write under way
  uint64_t bytes_in_flight_ = 0;
  struct InFlight {
    std::vector<Decided> decided;
    uint64_t bytes = 0;
    std::vector<HeldName> puts = {};
    std::vector<RecordName> removes = {};
  };
  absl::flat_hash_map<WriteId, InFlight> writes_;
};

}  // namespace dht
