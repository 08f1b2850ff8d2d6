// SPDX-License-Identifier: Apache-2.0
// dht/memory_record_store.h — records in memory: for tests, simulations, and nodes that store nothing.
//
// Not thread-safe, other than the port asks: it is for loops whose workers run in place, or for never being written (a relay's).
// Faults are scripted: FailNext(n), SetSuspect.
#pragma once

#include <map>

#include "dht/record_store.h"

namespace dht {

class MemoryRecordStore : public RecordStore {
 public:
  absl::StatusOr<Record> Get(const RecordName& name, absl::Time wall_now) const override;
  absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                    const NameVisitor& visit) const override;
  absl::Status ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                       const std::function<void(const Record&)>& visit) const override;
  absl::Status Apply(const WriteBatch& batch) override;
  StoreCounts counts() const override { return counts_; }
  StoreState state() const override { return state_; }
  bool suspect() const override { return suspect_; }
  absl::Status ClearSuspect() override;

  // The next `count` writes find no space.
  void FailNext(int count) { fail_next_ = count; }
  void SetSuspect(bool suspect) { suspect_ = suspect; }
  // Reads find nothing out, as while a store is being mended.
  void SetBlind(bool is_blind) { is_blind_ = is_blind; }

 private:
  struct Order {
    bool operator()(const RecordName& a, const RecordName& b) const { return ComesBefore(a, b); }
  };
  using Records = std::map<RecordName, Record, Order>;

  absl::Status Sight() const;
  void Erase(const RecordName& name);

  Records records_;
  StoreCounts counts_;
  int fail_next_ = 0;
  StoreState state_ = StoreState::kOk;
  bool suspect_ = false;
  bool is_blind_ = false;
};

}  // namespace dht
