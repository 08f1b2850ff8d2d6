// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_record_store.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>

#include "absl/synchronization/mutex.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "dht/rocksdb_open.h"
#include "keys/hash.h"

namespace dht {
namespace {

constexpr size_t kKeySize = 32 + 1 + 32;
constexpr size_t kChecksumSize = 8;
constexpr size_t kValueOverhead = 8 + kChecksumSize;
constexpr absl::Duration kResumeEvery = absl::Seconds(1);  // between tries to write again on a disk that refused

rocksdb::Slice AsSlice(base::ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
base::ByteView AsView(const rocksdb::Slice& slice) { return {reinterpret_cast<const uint8_t*>(slice.data()), slice.size()}; }

base::Bytes KeyOf(const RecordName& name) {
  return base::ByteWriter().Append(name.point.view()).U8(static_cast<uint8_t>(name.kind)).Append(name.id).Take();
}

std::optional<RecordName> NameOf(const rocksdb::Slice& key) {
  base::ByteReader reader(AsView(key));
  RecordName name;
  name.point.bytes = reader.Array<32>();
  name.kind = static_cast<Kind>(reader.U8());
  name.id = reader.Array<32>();
  if (!reader.Done()) return std::nullopt;
  return name;
}

base::Bytes Checksum(base::ByteView key, base::ByteView expiry_and_body) {
  const keys::Digest digest = keys::Hash("stored", {key, expiry_and_body});
  return base::Bytes(digest.begin(), digest.begin() + kChecksumSize);
}

base::Bytes ValueOf(const Record& record, base::ByteView key) {
  base::ByteWriter writer;
  writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(record.expiry))).Append(record.body);
  writer.Append(Checksum(key, writer.bytes()));
  return writer.Take();
}

// Of a value that may be damaged: for scans, which leave the checksum to Get.
absl::Time ExpiryOf(const rocksdb::Slice& value) {
  return absl::FromUnixSeconds(static_cast<int64_t>(base::ByteReader(AsView(value)).U64()));
}

absl::StatusOr<Record> Unpack(const RecordName& name, const rocksdb::Slice& value) {
  const base::ByteView bytes = AsView(value);
  if (bytes.size() < kValueOverhead) return absl::DataLossError("stored record is cut");
  const base::ByteView content = bytes.first(bytes.size() - kChecksumSize);
  const base::Bytes checksum = Checksum(KeyOf(name), content);
  if (!std::equal(checksum.begin(), checksum.end(), bytes.last(kChecksumSize).begin())) {
    return absl::DataLossError("stored record fails its checksum");
  }
  return Record{.name = name, .expiry = ExpiryOf(value), .body = base::ToBytes(content.subspan(8))};
}

}  // namespace

struct RocksdbRecordStore::Impl {
  Impl(OpenedRocksdb opened_in, std::function<absl::Time()> clock_in)
      : opened(std::move(opened_in)), clock(std::move(clock_in)) {}

  absl::Status CountAll();
  absl::Status WriteBatchSynced(rocksdb::WriteBatch& batch);
  absl::Status ResumeIfRefused();
  // Whether this stored value is part of counts: what had expired long before opening may go by the filter unseen.
  bool IsCounted(const rocksdb::Slice& value) const { return ExpiryOf(value) > opened_at - kFilterGrace; }
  void Count(const rocksdb::Slice& value, int sign);

  OpenedRocksdb opened;
  const std::function<absl::Time()> clock;
  absl::Time opened_at;
  mutable absl::Mutex mutex;
  StoreCounts totals ABSL_GUARDED_BY(mutex);
  StoreState state ABSL_GUARDED_BY(mutex) = StoreState::kOk;
  bool suspect ABSL_GUARDED_BY(mutex) = false;
  absl::Time next_resume ABSL_GUARDED_BY(mutex) = absl::InfinitePast();
};

void RocksdbRecordStore::Impl::Count(const rocksdb::Slice& value, int sign) {
  if (!IsCounted(value) || value.size() < kValueOverhead) return;
  const uint64_t size = value.size() - kValueOverhead + kRecordHeaderSize;
  absl::MutexLock lock(&mutex);
  totals.records += sign > 0 ? 1 : -1;
  totals.bytes += sign > 0 ? size : -size;
}

absl::Status RocksdbRecordStore::Impl::CountAll() {
  opened_at = clock();
  const std::unique_ptr<rocksdb::Iterator> it(opened.db->NewIterator(rocksdb::ReadOptions(), opened.records));
  for (it->SeekToFirst(); it->Valid(); it->Next()) Count(it->value(), 1);
  if (!it->status().ok()) return absl::DataLossError("part of the store cannot be read");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RocksdbRecordStore>> RocksdbRecordStore::Open(const Options& options) {
  ASSIGN_OR_RETURN(OpenedRocksdb opened, OpenRocksdb(options.path, options.env, options.clock));
  const bool is_suspect = opened.suspect;
  auto impl = std::make_unique<Impl>(std::move(opened), options.clock);
  const bool is_readable = impl->CountAll().ok();
  {
    absl::MutexLock lock(&impl->mutex);
    impl->suspect = is_suspect || !is_readable;
  }
  return std::unique_ptr<RocksdbRecordStore>(new RocksdbRecordStore(std::move(impl)));
}

RocksdbRecordStore::RocksdbRecordStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RocksdbRecordStore::~RocksdbRecordStore() = default;

absl::StatusOr<Record> RocksdbRecordStore::Get(const RecordName& name, absl::Time wall_now) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      impl_->opened.db->Get(rocksdb::ReadOptions(), impl_->opened.records, AsSlice(KeyOf(name)), &value);
  if (status.IsNotFound()) return absl::NotFoundError("record");
  if (!status.ok()) return absl::DataLossError("stored record cannot be read");
  ASSIGN_OR_RETURN(Record record, Unpack(name, value));
  if (record.expiry <= wall_now) return absl::NotFoundError("record");
  return record;
}

absl::Status RocksdbRecordStore::Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor,
                                      absl::Time wall_now, const NameVisitor& visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(impl_->opened.db->NewIterator(rocksdb::ReadOptions(), impl_->opened.records));
  for (const Stretch& stretch : StretchesOf(range, cursor)) {
    const base::Bytes from = KeyOf(stretch.from);
    it->Seek(AsSlice(from));
    if (it->Valid() && !stretch.inclusive && it->key() == AsSlice(from)) it->Next();
    for (; it->Valid(); it->Next()) {
      const std::optional<RecordName> name = NameOf(it->key());
      if (!name || it->value().size() < kValueOverhead) continue;
      if (name->point > stretch.last) break;
      const HeldName held{.name = *name, .expiry = ExpiryOf(it->value()), .body_size = it->value().size() - kValueOverhead};
      if (held.expiry > wall_now && !visit(held)) return absl::OkStatus();
    }
    if (!it->status().ok()) return absl::DataLossError("part of the store cannot be read");
  }
  return absl::OkStatus();
}

void RocksdbRecordStore::ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                                 const std::function<void(const Record&)>& visit) const {
  const base::Bytes prefix = base::ByteWriter().Append(point.view()).U8(static_cast<uint8_t>(kind)).Take();
  const std::unique_ptr<rocksdb::Iterator> it(impl_->opened.db->NewIterator(rocksdb::ReadOptions(), impl_->opened.records));
  for (it->Seek(AsSlice(prefix)); it->Valid() && it->key().starts_with(AsSlice(prefix)); it->Next()) {
    const std::optional<RecordName> name = NameOf(it->key());
    if (!name) continue;
    const absl::StatusOr<Record> record = Unpack(*name, it->value());
    if (record.ok() && record->expiry > wall_now) visit(*record);
  }
}

absl::Status RocksdbRecordStore::Impl::ResumeIfRefused() {
  absl::MutexLock lock(&mutex);
  if (state == StoreState::kOk) return absl::OkStatus();
  const absl::Status refused = absl::ResourceExhaustedError("the disk refuses writes");
  if (clock() < next_resume) return refused;
  next_resume = clock() + kResumeEvery;
  // Busy while RocksDB recovers by itself (it looks for space every five seconds): then the write tells.
  opened.db->Resume().PermitUncheckedError();
  return absl::OkStatus();
}

absl::Status RocksdbRecordStore::Impl::WriteBatchSynced(rocksdb::WriteBatch& batch) {
  RETURN_IF_ERROR(ResumeIfRefused());
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const rocksdb::Status status = opened.db->Write(synced, &batch);
  absl::MutexLock lock(&mutex);
  state = status.ok() ? StoreState::kOk : status.IsNoSpace() ? StoreState::kFull : StoreState::kFailing;
  if (status.ok()) return absl::OkStatus();
  next_resume = clock() + kResumeEvery;
  return absl::ResourceExhaustedError(status.IsNoSpace() ? "no space left on the disk" : "the disk refuses writes");
}

absl::Status RocksdbRecordStore::Apply(const WriteBatch& changes) {
  rocksdb::WriteBatch batch;
  std::vector<std::string> gone;  // values that this batch replaces or removes
  const auto note_held = [&](const base::Bytes& key) {
    std::string held;
    if (impl_->opened.db->Get(rocksdb::ReadOptions(), impl_->opened.records, AsSlice(key), &held).ok()) gone.push_back(held);
  };
  for (const RecordName& name : changes.removes) {
    const base::Bytes key = KeyOf(name);
    note_held(key);
    batch.Delete(impl_->opened.records, AsSlice(key));
  }
  std::vector<base::Bytes> values;
  for (const Record& record : changes.puts) {
    const base::Bytes key = KeyOf(record.name);
    note_held(key);
    values.push_back(ValueOf(record, key));
    batch.Put(impl_->opened.records, AsSlice(key), AsSlice(values.back()));
  }
  if (batch.Count() == 0) batch.Put(impl_->opened.meta, "beat", "1");
  RETURN_IF_ERROR(impl_->WriteBatchSynced(batch));
  for (const std::string& value : gone) impl_->Count(value, -1);
  for (const base::Bytes& value : values) impl_->Count(AsSlice(value), 1);
  return absl::OkStatus();
}

StoreCounts RocksdbRecordStore::counts() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->totals;
}

StoreState RocksdbRecordStore::state() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->state;
}

bool RocksdbRecordStore::suspect() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->suspect;
}

absl::Status RocksdbRecordStore::ClearSuspect() {
  rocksdb::WriteBatch batch;
  batch.Delete(impl_->opened.meta, kSuspectKey);
  RETURN_IF_ERROR(impl_->WriteBatchSynced(batch));
  absl::MutexLock lock(&impl_->mutex);
  impl_->suspect = false;
  return absl::OkStatus();
}

}  // namespace dht
