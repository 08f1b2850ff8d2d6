// SPDX-License-Identifier: Apache-2.0
// dht/memory_record_store.h — records in memory: for tests, simulations, and nodes that store nothing.
//
// As safe to call from several threads as the real one. Visitors run without the lock held. Faults are scripted: FailNext(n).
#pragma once

#include <map>

#include "absl/synchronization/mutex.h"
#include "dht/record_store.h"

namespace dht {

class MemoryRecordStore : public RecordStore {
 public:
  absl::StatusOr<Record> Get(const RecordName& name, absl::Time wall_now) const override;
  absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                    const NameVisitor& visit) const override;
  void ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
               const std::function<void(const Record&)>& visit) const override;
  absl::Status Apply(const WriteBatch& batch) override;
  StoreCounts counts() const override;
  StoreState state() const override;
  bool suspect() const override;
  absl::Status ClearSuspect() override;

  // The next `count` writes find no space.
  void FailNext(int count);
  void SetSuspect(bool suspect);

 private:
  struct Order {
    bool operator()(const RecordName& a, const RecordName& b) const { return ComesBefore(a, b); }
  };
  using Records = std::map<RecordName, Record, Order>;

  std::vector<HeldName> Page(const RecordName& from, bool inclusive, size_t size) const;
  void Erase(Records::iterator record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  Records records_ ABSL_GUARDED_BY(mutex_);
  StoreCounts counts_ ABSL_GUARDED_BY(mutex_);
  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
  StoreState state_ ABSL_GUARDED_BY(mutex_) = StoreState::kOk;
  bool suspect_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dht
