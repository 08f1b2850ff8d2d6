// SPDX-License-Identifier: Apache-2.0
// tests/dht/power_trial.h — a store on a disk whose power goes again and again, and a book of what it acknowledged, kept outside.
//
// A life: open, compare with the book, then kWriters threads apply batches (puts and removals together) until the power goes, at
// a random change of the disk: while opening, in a shared commit, in a flush or compaction. A batch without an answer may be
// there or not, but whole. Every kLivesPerFolder lives begin in an empty folder, so that many small logs, flushes and compactions
// lie behind each loss. The seed gives sizes and moments; the threads' order is their own.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dht/rocksdb_record_store.h"
#include "tests/support/lossy_file_system.h"
#include "tests/support/seeded_rng.h"

namespace dht {

struct PowerTotals {
  uint64_t losses = 0;
  uint64_t acknowledged = 0;  // batches
  uint64_t lost = 0;          // records of acknowledged batches that are not there, or acknowledged removals undone
  uint64_t wrong = 0;         // records with other bytes than were put, or names that nobody put
  uint64_t half = 0;          // batches without an answer of which a part is there
  uint64_t suspect = 0;       // openings that found a torn log
  uint64_t refused = 0;       // openings that failed although the power was on
};

class PowerTrial {
 public:
  static constexpr int kWriters = 4, kBatchesPerLife = 12, kPutsMax = 4, kLivesPerFolder = 25;

  PowerTrial(uint64_t seed, bool logs_are_synced) : rng_(seed), disk_rng_(~seed), logs_are_synced_(logs_are_synced) {}
  ~PowerTrial() { std::filesystem::remove_all(folder_); }

  PowerTotals Run(uint64_t losses) {
    for (uint64_t i = 0; i < losses; ++i) {
      if (i % kLivesPerFolder == 0) StartFolder();
      Life();
      ++totals_.losses;
    }
    return totals_;
  }

 private:
  struct Entry {
    Record record;
    bool held = false;
  };
  struct Batch {
    std::vector<size_t> puts, removes;  // places in book_
    bool answered = false;
  };

  void StartFolder() {
    env_.reset();
    disk_.reset();
    std::filesystem::remove_all(folder_);
    std::string name = (std::filesystem::temp_directory_path() / "bulbil-power-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::filesystem::create_directory(folder_ + "/graveyard");
    disk_ = std::make_shared<support::LossyFileSystem>(
        support::LossyFileSystem::Options{.graveyard = folder_ + "/graveyard", .logs_are_synced = logs_are_synced_}, disk_rng_);
    env_ = rocksdb::NewCompositeEnv(disk_);
    book_.clear();
    open_batches_.clear();
  }

  void Life() {
    const bool while_opening = rng_.Below(4) == 0;
    if (while_opening) disk_->Schedule(rng_.Below(60));
    auto opened = RocksdbRecordStore::Open({.path = folder_ + "/store", .env = env_.get(), .clock = [] { return kNow; }});
    if (opened.ok()) {
      Compare(**opened);
      if (!while_opening) disk_->Schedule(rng_.Below(kWriters * kBatchesPerLife * 2));
      Write(**opened);
    } else if (!disk_->off()) {
      ++totals_.refused;
    }
    disk_->CutPower();
    opened = absl::UnavailableError("the power is off");
    disk_->Restore();
  }

  // What is in doubt is settled first: all of it there, or nothing.
  void Compare(RecordStore& store) {
    totals_.suspect += store.suspect() ? 1 : 0;
    for (const Batch& batch : open_batches_) Settle(store, batch);
    open_batches_.clear();
    uint64_t held = 0;
    for (Entry& entry : book_) {
      const absl::StatusOr<Record> found = store.Get(entry.record.name, kNow);
      held += entry.held ? 1 : 0;
      totals_.lost += found.ok() != entry.held ? 1 : 0;
      totals_.wrong += found.ok() && *found != entry.record ? 1 : 0;
      if (found.ok() != entry.held) held += found.ok() ? 1 : -1;
      entry.held = found.ok();
    }
    uint64_t listed = 0;
    const absl::Status scanned = store.Scan({{}, {}}, std::nullopt, kNow, [&](const HeldName&) { return ++listed > 0; });
    totals_.wrong += !scanned.ok() || listed != held || store.counts().records != held ? 1 : 0;
    if (store.suspect() && rng_.Below(2) == 0) totals_.refused += store.ClearSuspect().ok() || disk_->off() ? 0 : 1;
  }

  void Settle(const RecordStore& store, const Batch& batch) {
    size_t done = 0;
    for (const size_t place : batch.puts) done += (book_[place].held = store.Holds(book_[place].record.name, kNow)) ? 1 : 0;
    for (const size_t place : batch.removes) {
      book_[place].held = store.Holds(book_[place].record.name, kNow);
      done += book_[place].held ? 0 : 1;
    }
    totals_.half += done != 0 && done != batch.puts.size() + batch.removes.size() ? 1 : 0;
  }

  Batch Plan(std::vector<size_t>& removable) {
    Batch batch;
    for (uint64_t i = 0; i <= rng_.Below(kPutsMax); ++i) {
      base::Bytes body(20 + rng_.Below(rng_.Below(8) == 0 ? 6000 : 400));
      rng_.Fill(body);
      batch.puts.push_back(book_.size());
      book_.push_back({.record = MakeBlob(body, kNow + absl::Hours(24))});
    }
    if (!removable.empty() && rng_.Below(3) == 0) {
      batch.removes.push_back(removable.back());
      removable.pop_back();
    }
    return batch;
  }

  void Write(RecordStore& store) {
    std::vector<size_t> removable;
    for (size_t place = 0; place < book_.size(); ++place) {
      if (book_[place].held && rng_.Below(8) == 0) removable.push_back(place);
    }
    std::vector<std::vector<Batch>> plans(kWriters);
    for (int i = 0; i < kWriters * kBatchesPerLife; ++i) plans[i % kWriters].push_back(Plan(removable));
    std::vector<std::thread> writers;
    for (auto& plan : plans) {
      writers.emplace_back([this, &store, &plan] { WritePlan(store, plan); });
    }
    for (std::thread& writer : writers) writer.join();
    for (const auto& plan : plans) Enter(plan);
  }
  void WritePlan(RecordStore& store, std::vector<Batch>& plan) const {
    for (Batch& batch : plan) {
      WriteBatch changes;
      for (const size_t place : batch.puts) changes.puts.push_back(book_[place].record);
      for (const size_t place : batch.removes) changes.removes.push_back(book_[place].record.name);
      if (!store.Apply(changes).ok()) return;
      batch.answered = true;
    }
  }
  void Enter(const std::vector<Batch>& plan) {
    for (const Batch& batch : plan) {
      if (!batch.answered) {
        open_batches_.push_back(batch);
        continue;
      }
      ++totals_.acknowledged;
      for (const size_t place : batch.puts) book_[place].held = true;
      for (const size_t place : batch.removes) book_[place].held = false;
    }
  }

  inline static const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
  support::SeededRng rng_;
  support::SeededRng disk_rng_;  // drawn from on RocksDB's threads too, under the disk's lock
  const bool logs_are_synced_;
  PowerTotals totals_;
  std::string folder_;
  std::shared_ptr<support::LossyFileSystem> disk_;
  std::unique_ptr<rocksdb::Env> env_;
  std::vector<Entry> book_;
  std::vector<Batch> open_batches_;
};

}  // namespace dht
