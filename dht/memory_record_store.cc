// SPDX-License-Identifier: Apache-2.0
#include "dht/memory_record_store.h"

namespace dht {
namespace {

constexpr size_t kPage = 256;  // names copied under one lock

}  // namespace

absl::StatusOr<Record> MemoryRecordStore::Get(const RecordName& name, absl::Time wall_now) const {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(name);
  if (found == records_.end() || found->second.expiry <= wall_now) return absl::NotFoundError("record");
  return found->second;
}

std::vector<HeldName> MemoryRecordStore::Page(const RecordName& from, bool inclusive, size_t size) const {
  absl::MutexLock lock(&mutex_);
  std::vector<HeldName> page;
  auto it = inclusive ? records_.lower_bound(from) : records_.upper_bound(from);
  for (; it != records_.end() && page.size() < size; ++it) {
    page.push_back({.name = it->first, .expiry = it->second.expiry, .body_size = it->second.body.size()});
  }
  return page;
}

absl::Status MemoryRecordStore::Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor,
                                     absl::Time wall_now, const NameVisitor& visit) const {
  for (const Stretch& stretch : StretchesOf(range, cursor)) {
    RecordName from = stretch.from;
    bool inclusive = stretch.inclusive;
    for (bool more = true; more; inclusive = false) {
      const std::vector<HeldName> page = Page(from, inclusive, kPage);
      more = page.size() == kPage;
      for (const HeldName& held : page) {
        if (held.name.point > stretch.last) {
          more = false;
          break;
        }
        if (held.expiry > wall_now && !visit(held)) return absl::OkStatus();
        from = held.name;
      }
    }
  }
  return absl::OkStatus();
}

void MemoryRecordStore::ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                                const std::function<void(const Record&)>& visit) const {
  std::vector<Record> records;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = records_.lower_bound({.kind = kind, .point = point, .id = {}}); it != records_.end(); ++it) {
      if (it->first.point != point || it->first.kind != kind) break;
      if (it->second.expiry > wall_now) records.push_back(it->second);
    }
  }
  for (const Record& record : records) visit(record);
}

void MemoryRecordStore::Erase(Records::iterator record) {
  --counts_.records;
  counts_.bytes -= record->second.body.size() + kRecordHeaderSize;
  records_.erase(record);
}

absl::Status MemoryRecordStore::Apply(const WriteBatch& batch) {
  absl::MutexLock lock(&mutex_);
  state_ = fail_next_ > 0 ? StoreState::kFull : StoreState::kOk;
  if (fail_next_ > 0) {
    --fail_next_;
    return absl::ResourceExhaustedError("no space left");
  }
  for (const RecordName& name : batch.removes) {
    if (const auto found = records_.find(name); found != records_.end()) Erase(found);
  }
  for (const Record& record : batch.puts) {
    if (const auto found = records_.find(record.name); found != records_.end()) Erase(found);
    ++counts_.records;
    counts_.bytes += record.body.size() + kRecordHeaderSize;
    records_.emplace(record.name, record);
  }
  return absl::OkStatus();
}

StoreCounts MemoryRecordStore::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

StoreState MemoryRecordStore::state() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

bool MemoryRecordStore::suspect() const {
  absl::MutexLock lock(&mutex_);
  return suspect_;
}

absl::Status MemoryRecordStore::ClearSuspect() {
  SetSuspect(false);
  return absl::OkStatus();
}

void MemoryRecordStore::FailNext(int count) {
  absl::MutexLock lock(&mutex_);
  fail_next_ = count;
}

void MemoryRecordStore::SetSuspect(bool suspect) {
  absl::MutexLock lock(&mutex_);
  suspect_ = suspect;
}

}  // namespace dht
