// SPDX-License-Identifier: Apache-2.0
#include "dht/memory_record_store.h"

#include "base/status_macros.h"

namespace dht {

absl::Status MemoryRecordStore::Sight() const {
  return is_blind_ ? absl::UnavailableError("the store does not see") : absl::OkStatus();
}

absl::StatusOr<Record> MemoryRecordStore::Get(const RecordName& name, absl::Time wall_now) const {
  RETURN_IF_ERROR(Sight());
  const auto found = records_.find(name);
  if (found == records_.end() || found->second.expiry <= wall_now) return absl::NotFoundError("record");
  return found->second;
}

absl::Status MemoryRecordStore::Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor,
                                     absl::Time wall_now, const NameVisitor& visit) const {
  RETURN_IF_ERROR(Sight());
  for (const Stretch& stretch : StretchesOf(range, cursor)) {
    auto it = stretch.inclusive ? records_.lower_bound(stretch.from) : records_.upper_bound(stretch.from);
    for (; it != records_.end() && it->first.point <= stretch.last; ++it) {
      const Record& record = it->second;
      if (record.expiry <= wall_now) continue;
      if (!visit({.name = record.name, .expiry = record.expiry, .body_size = record.body.size()})) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::Status MemoryRecordStore::ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                                        const std::function<void(const Record&)>& visit) const {
  RETURN_IF_ERROR(Sight());
  for (auto it = records_.lower_bound({.kind = kind, .point = point, .id = {}}); it != records_.end(); ++it) {
    if (it->first.point != point || it->first.kind != kind) break;
    if (it->second.expiry > wall_now) visit(it->second);
  }
  return absl::OkStatus();
}

void MemoryRecordStore::Erase(const RecordName& name) {
  const auto found = records_.find(name);
  if (found == records_.end()) return;
  --counts_.records;
  counts_.bytes -= found->second.body.size() + kRecordHeaderSize;
  records_.erase(found);
}

absl::Status MemoryRecordStore::Apply(const WriteBatch& batch) {
  state_ = fail_next_ > 0 ? StoreState::kFull : StoreState::kOk;
  if (fail_next_ > 0) {
    --fail_next_;
    return absl::ResourceExhaustedError("no space left");
  }
  for (const RecordName& name : batch.removes) Erase(name);
  for (const Record& record : batch.puts) {
    Erase(record.name);
    ++counts_.records;
    counts_.bytes += record.body.size() + kRecordHeaderSize;
    records_.emplace(record.name, record);
  }
  return absl::OkStatus();
}

absl::Status MemoryRecordStore::ClearSuspect() {
  suspect_ = false;
  return absl::OkStatus();
}

}  // namespace dht
