// SPDX-License-Identifier: Apache-2.0
// tests/dht/rocksdb_corruption.h — copies of one store, each damaged at random, opened, compared with what was put, and refilled.
//
// The store has table files of several ages and a log that was never flushed. Damage: one to three of: a few bits flipped, a
// stretch overwritten, a page turned to zeros, the end cut off, the file removed; of any file but the lock. Asked of every copy:
// it opens; no record has other bytes than were put; what is missing makes it suspect; it can be scanned; once the missing
// records were put again (as repair does from replicas) it is whole, and stays so when opened again.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "dht/rocksdb_record_store.h"
#include "tests/support/seeded_rng.h"

namespace dht {

struct CorruptionTotals {
  uint64_t corruptions = 0;
  uint64_t refused = 0;  // copies that did not open, or not again
  uint64_t wrong = 0;    // records with other bytes, or that nobody put
  uint64_t silent = 0;   // copies that lack records and are not suspect
  uint64_t unread = 0;   // copies that could not be scanned
  uint64_t unwhole = 0;  // copies that lacked records, or were suspect, after they were refilled
  uint64_t missing = 0;  // records that had to be put again, of `held`
  uint64_t held = 0;
};

class CorruptionTrial {
 public:
  static constexpr int kRecords = 600, kAges = 4;

  explicit CorruptionTrial(uint64_t seed) : rng_(seed) {
    std::string name = (std::filesystem::temp_directory_path() / "bulbil-corruption-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    Build();
  }
  ~CorruptionTrial() { std::filesystem::remove_all(folder_); }

  CorruptionTotals Run(uint64_t copies) {
    for (uint64_t i = 0; i < copies; ++i) OneCopy();
    return totals_;
  }

 private:
  absl::StatusOr<std::unique_ptr<RocksdbRecordStore>> Open(const std::string& path) {
    return RocksdbRecordStore::Open({.path = path, .clock = [] { return kNow; }});
  }

  // Opened kAges times: each opening flushes the log of the one before. The last log stays: it is copied under the open store.
  void Build() {
    for (int age = 0; age < kAges; ++age) {
      const auto store = Open(folder_ + "/original");
      for (int i = 0; i < kRecords / kAges; i += 5) {
        WriteBatch batch;
        for (int j = 0; j < 5; ++j) {
          base::Bytes body(100 + rng_.Below(1500));
          rng_.Fill(body);
          records_.push_back(MakeBlob(body, kNow + absl::Hours(24)));
          batch.puts.push_back(records_.back());
        }
        if (!(*store)->Apply(batch).ok()) abort();
      }
      if (age == kAges - 1) Copy(folder_ + "/original", folder_ + "/whole");
    }
    for (const Record& record : records_) names_.insert(record.name);
  }
  static void Copy(const std::string& from, const std::string& to) {
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }

  void OneCopy() {
    const std::string place = folder_ + "/copy", path = place + "/store";
    std::filesystem::create_directory(place);
    Copy(folder_ + "/whole", path);
    const uint64_t wounds = 1 + rng_.Below(3);
    for (uint64_t i = 0; i < wounds; ++i) Damage(path);
    ++totals_.corruptions;
    std::vector<Record> missing;
    {
      const auto store = Open(path);
      if (store.ok()) {
        missing = Missing(**store);
        Refill(**store, missing);
      } else {
        ++totals_.refused;
      }
    }
    CheckWhole(path);
    std::filesystem::remove_all(place);
  }
  void CheckWhole(const std::string& path) {
    const auto again = Open(path);
    totals_.refused += again.ok() ? 0 : 1;
    if (again.ok()) totals_.unwhole += !Missing(**again).empty() || (*again)->suspect() ? 1 : 0;
  }

  std::vector<Record> Missing(const RecordStore& store) {
    std::vector<Record> missing;
    for (const Record& record : records_) {
      const absl::StatusOr<Record> found = store.Get(record.name, kNow);
      if (!found.ok()) missing.push_back(record);
      totals_.wrong += found.ok() && *found != record ? 1 : 0;
    }
    totals_.silent += !missing.empty() && !store.suspect() ? 1 : 0;
    const absl::Status scanned = store.Scan({{}, {}}, std::nullopt, kNow, [&](const HeldName& held) {
      totals_.wrong += names_.contains(held.name) ? 0 : 1;
      return true;
    });
    totals_.unread += scanned.ok() ? 0 : 1;
    return missing;
  }
  void Refill(RecordStore& store, const std::vector<Record>& missing) {
    totals_.missing += missing.size();
    totals_.held += records_.size();
    totals_.unwhole += store.Apply({.puts = missing}).ok() && store.ClearSuspect().ok() ? 0 : 1;
  }

  void Damage(const std::string& path) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file() && entry.path().filename() != "LOCK") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) return;
    const std::filesystem::path& file = files[rng_.Below(files.size())];
    const uint64_t size = std::filesystem::file_size(file), kind = rng_.Below(9);
    if (kind == 0) {
      std::filesystem::remove(file);
    } else if (size == 0) {
      return;
    } else if (kind < 3) {
      std::filesystem::resize_file(file, rng_.Below(size));
    } else if (kind == 8) {
      Clear(file, size);
    } else {
      Overwrite(file, size, /*flips=*/kind < 6);
    }
  }
  void Clear(const std::filesystem::path& file, uint64_t size) {
    constexpr uint64_t kPage = 4096;
    const uint64_t at = rng_.Below(size / kPage + 1) * kPage, end = std::min(size, at + kPage);
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes << std::string(end - std::min(at, end), '\0');
  }
  void Overwrite(const std::filesystem::path& file, uint64_t size, bool flips) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    const uint64_t stretch = flips ? 1 : std::min<uint64_t>(size, 1 + rng_.Below(700)), places = flips ? 1 + rng_.Below(8) : 1;
    for (uint64_t i = 0; i < places; ++i) {
      const auto at = static_cast<std::streamoff>(rng_.Below(size - stretch + 1));
      std::string old(stretch, '\0');
      bytes.seekg(at);
      bytes.read(old.data(), static_cast<std::streamsize>(stretch));
      for (char& byte : old) byte = static_cast<char>(flips ? byte ^ (1 << rng_.Below(8)) : rng_.Below(256));
      bytes.seekp(at);
      bytes.write(old.data(), static_cast<std::streamsize>(stretch));
    }
  }

  inline static const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
  support::SeededRng rng_;
  std::string folder_;
  std::vector<Record> records_;
  std::set<RecordName> names_;
  CorruptionTotals totals_;
};

}  // namespace dht
