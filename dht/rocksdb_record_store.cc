// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_record_store.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "dht/rocksdb_open.h"
#include "dht/rocksdb_watermark.h"
#include "keys/hash.h"

namespace dht {
namespace {

constexpr size_t kKeySize = 32 + 1 + 32;
constexpr size_t kChecksumSize = 8;
constexpr size_t kValueOverhead = 8 + kChecksumSize;
constexpr absl::Duration kResumeEvery = absl::Seconds(1);  // between tries to write again on a disk that refused
constexpr uint64_t kRoomToResume = 32 << 20;               // twice the logs that may be there (max_total_wal_size)

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

// Leaves the block cache to single reads.
std::unique_ptr<rocksdb::Iterator> NewIterator(const OpenedRocksdb& opened) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(opened.db->NewIterator(options, opened.records));
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
  explicit Impl(RocksdbPlace place_in) : place(std::move(place_in)) {}
  ~Impl() {
    if (mender.joinable()) mender.join();
  }

  // With the least effort that makes every record readable.
  absl::Status OpenAndCount(OpenEffort least) ABSL_EXCLUSIVE_LOCKS_REQUIRED(gate);
  absl::Status TryOpenAndCount(OpenEffort allowed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(gate);
  // On a thread of its own: closes the database and opens it with at least that effort.
  void StartMending(OpenEffort least);
  void Mend();
  // Of something that RocksDB could not read or write.
  absl::Status Unreadable(const rocksdb::Status& status);
  absl::Status WriteBatchSynced(rocksdb::WriteBatch& batch) ABSL_SHARED_LOCKS_REQUIRED(gate);
  absl::Status ResumeIfRefused() ABSL_SHARED_LOCKS_REQUIRED(gate);
  bool HasRoomToResume() const;
  // Whether this stored value is part of counts: what had expired long before opening may go by the filter unseen.
  bool IsCounted(const rocksdb::Slice& value) const { return ExpiryOf(value) > opened_at - kFilterGrace; }
  void Count(const rocksdb::Slice& value, int sign);

  const RocksdbPlace place;
  // Shared by whoever uses the database, exclusive for who mends it. The loop's thread only tries (Reading).
  absl::Mutex gate;
  std::optional<OpenedRocksdb> opened ABSL_GUARDED_BY(gate);  // nothing: mending it failed, as for want of space; tried again
  absl::Time opened_at;
  std::thread mender;
  mutable absl::Mutex mutex;
  StoreCounts totals ABSL_GUARDED_BY(mutex);
  StoreState state ABSL_GUARDED_BY(mutex) = StoreState::kOk;
  bool suspect ABSL_GUARDED_BY(mutex) = false;
  bool is_mending ABSL_GUARDED_BY(mutex) = false;
  OpenEffort effort ABSL_GUARDED_BY(mutex) = OpenEffort::kReopen;  // of the mending under way, or of the next try
  absl::Time next_resume ABSL_GUARDED_BY(mutex) = absl::InfinitePast();
};

namespace {

// Holds the database open for one read, without waiting: reads are made on the loop's thread, also from inside each other.
template <typename Impl>
class Reading {
 public:
  explicit Reading(Impl& impl) ABSL_NO_THREAD_SAFETY_ANALYSIS : impl_(impl), holds_(impl.gate.ReaderTryLock()) {}
  ~Reading() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (holds_) impl_.gate.ReaderUnlock();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  const OpenedRocksdb* opened() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return holds_ && impl_.opened ? &*impl_.opened : nullptr; }
  std::unique_ptr<rocksdb::Iterator> Iterate() const {
    if (opened() == nullptr) return nullptr;
    return NewIterator(*opened());
  }

 private:
  Impl& impl_;
  const bool holds_;
};

absl::Status BeingMended() { return absl::UnavailableError("the store is being mended"); }

}  // namespace

void RocksdbRecordStore::Impl::Count(const rocksdb::Slice& value, int sign) {
  if (!IsCounted(value) || value.size() < kValueOverhead) return;
  const uint64_t size = value.size() - kValueOverhead + kRecordHeaderSize;
  absl::MutexLock lock(&mutex);
  totals.records += sign > 0 ? 1 : -1;
  totals.bytes += sign > 0 ? size : -size;
}

absl::Status RocksdbRecordStore::Impl::TryOpenAndCount(OpenEffort allowed) {
  opened.reset();
  ASSIGN_OR_RETURN(OpenedRocksdb found, OpenRocksdb(place, allowed));
  opened.emplace(std::move(found));
  opened_at = place.clock();
  {
    absl::MutexLock lock(&mutex);
    totals = {};
    suspect = opened->suspect;
  }
  const std::unique_ptr<rocksdb::Iterator> it = NewIterator(*opened);
  for (it->SeekToFirst(); it->Valid(); it->Next()) Count(it->value(), 1);
  if (it->status().ok()) return absl::OkStatus();
  return IsDamage(it->status()) ? absl::DataLossError("part of the store is damaged")
                                : absl::InternalError("the disk does not let the node store be read");
}

absl::Status RocksdbRecordStore::Impl::OpenAndCount(OpenEffort least) {
  absl::Status status;
  for (const OpenEffort next : {OpenEffort::kReopen, OpenEffort::kOpen, OpenEffort::kRepair, OpenEffort::kStartAgain}) {
    if (next < least) continue;
    status = TryOpenAndCount(next);
    if (!absl::IsDataLoss(status)) break;
  }
  if (!status.ok()) opened.reset();
  return status;
}

absl::Status RocksdbRecordStore::Impl::Unreadable(const rocksdb::Status& status) {
  if (IsDamage(status)) StartMending(OpenEffort::kRepair);
  return absl::UnavailableError("part of the store cannot be read");
}

void RocksdbRecordStore::Impl::StartMending(OpenEffort least) {
  absl::MutexLock lock(&mutex);
  effort = std::max(effort, least);
  suspect |= effort > OpenEffort::kOpen;
  if (is_mending) return;
  is_mending = true;
  if (mender.joinable()) mender.join();  // an earlier one, done but for its end
  mender = std::thread([this] { Mend(); });
}

void RocksdbRecordStore::Impl::Mend() {
  absl::WriterMutexLock alone(&gate);
  OpenEffort least;
  {
    absl::MutexLock lock(&mutex);
    least = effort;
  }
  const absl::Status status = OpenAndCount(least);
  absl::MutexLock lock(&mutex);
  suspect |= effort > OpenEffort::kOpen;
  if (status.ok()) effort = OpenEffort::kReopen;
  is_mending = false;
  state = status.ok() ? StoreState::kOk : absl::IsResourceExhausted(status) ? StoreState::kFull : StoreState::kFailing;
  next_resume = place.clock() + kResumeEvery;
}

absl::StatusOr<std::unique_ptr<RocksdbRecordStore>> RocksdbRecordStore::Open(const Options& options) {
  auto impl = std::make_unique<Impl>(RocksdbPlace{.path = options.path, .env = options.env, .clock = options.clock});
  {
    absl::WriterMutexLock alone(&impl->gate);
    RETURN_IF_ERROR(impl->OpenAndCount(OpenEffort::kOpen));
  }
  return std::unique_ptr<RocksdbRecordStore>(new RocksdbRecordStore(std::move(impl)));
}

RocksdbRecordStore::RocksdbRecordStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RocksdbRecordStore::~RocksdbRecordStore() = default;

absl::StatusOr<Record> RocksdbRecordStore::Get(const RecordName& name, absl::Time wall_now) const {
  const Reading reading(*impl_);
  if (reading.opened() == nullptr) return BeingMended();
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      reading.opened()->db->Get(rocksdb::ReadOptions(), reading.opened()->records, AsSlice(KeyOf(name)), &value);
  if (status.IsNotFound()) return absl::NotFoundError("record");
  if (!status.ok()) return impl_->Unreadable(status);
  ASSIGN_OR_RETURN(Record record, Unpack(name, value));
  if (record.expiry <= wall_now) return absl::NotFoundError("record");
  return record;
}

absl::Status RocksdbRecordStore::Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor,
                                      absl::Time wall_now, const NameVisitor& visit) const {
  const Reading reading(*impl_);
  const std::unique_ptr<rocksdb::Iterator> it = reading.Iterate();
  if (it == nullptr) return BeingMended();
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
    if (!it->status().ok()) return impl_->Unreadable(it->status());
  }
  return absl::OkStatus();
}

absl::Status RocksdbRecordStore::ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                                         const std::function<void(const Record&)>& visit) const {
  const base::Bytes prefix = base::ByteWriter().Append(point.view()).U8(static_cast<uint8_t>(kind)).Take();
  const Reading reading(*impl_);
  const std::unique_ptr<rocksdb::Iterator> it = reading.Iterate();
  if (it == nullptr) return BeingMended();
  for (it->Seek(AsSlice(prefix)); it->Valid() && it->key().starts_with(AsSlice(prefix)); it->Next()) {
    const std::optional<RecordName> name = NameOf(it->key());
    if (!name) continue;
    const absl::StatusOr<Record> record = Unpack(*name, it->value());
    if (record.ok() && record->expiry > wall_now) visit(*record);
  }
  return it->status().ok() ? absl::OkStatus() : impl_->Unreadable(it->status());
}

absl::Status RocksdbRecordStore::Impl::ResumeIfRefused() {
  const absl::Status refused = absl::ResourceExhaustedError("the disk refuses writes");
  {
    absl::MutexLock lock(&mutex);
    if (opened && state == StoreState::kOk) return absl::OkStatus();
    if (is_mending || place.clock() < next_resume) return refused;
    next_resume = place.clock() + kResumeEvery;
  }
  if (HasRoomToResume()) StartMending(OpenEffort::kReopen);
  return refused;
}

// What is in the log becomes tables when it is opened. Where nobody can tell, it is tried.
bool RocksdbRecordStore::Impl::HasRoomToResume() const {
  uint64_t free = 0;
  rocksdb::Env* env = place.env != nullptr ? place.env : rocksdb::Env::Default();
  return !env->GetFreeSpace(place.path, &free).ok() || free >= kRoomToResume;
}

absl::Status RocksdbRecordStore::Impl::WriteBatchSynced(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const rocksdb::Status status = opened->db->Write(synced, &batch);
  if (!status.ok() && IsDamage(status)) StartMending(OpenEffort::kRepair);  // found when tables were merged
  absl::MutexLock lock(&mutex);
  state = status.ok() ? StoreState::kOk : status.IsNoSpace() ? StoreState::kFull : StoreState::kFailing;
  if (status.ok()) return absl::OkStatus();
  next_resume = place.clock() + kResumeEvery;
  return absl::ResourceExhaustedError(status.IsNoSpace() ? "no space left on the disk" : "the disk refuses writes");
}

absl::Status RocksdbRecordStore::Apply(const WriteBatch& changes) {
  absl::ReaderMutexLock lock(&impl_->gate);
  RETURN_IF_ERROR(impl_->ResumeIfRefused());
  OpenedRocksdb& opened = *impl_->opened;
  rocksdb::WriteBatch batch;
  std::vector<std::string> gone;  // values that this batch replaces or removes
  const auto note_held = [&](const base::Bytes& key) {
    std::string held;
    if (opened.db->Get(rocksdb::ReadOptions(), opened.records, AsSlice(key), &held).ok()) gone.push_back(held);
  };
  for (const RecordName& name : changes.removes) {
    const base::Bytes key = KeyOf(name);
    note_held(key);
    batch.Delete(opened.records, AsSlice(key));
  }
  std::vector<base::Bytes> values;
  for (const Record& record : changes.puts) {
    const base::Bytes key = KeyOf(record.name);
    note_held(key);
    values.push_back(ValueOf(record, key));
    batch.Put(opened.records, AsSlice(key), AsSlice(values.back()));
  }
  if (batch.Count() == 0) batch.Put(opened.meta, "beat", "1");
  RETURN_IF_ERROR(impl_->WriteBatchSynced(batch));
  opened.watermark->Advance(opened.db->GetLatestSequenceNumber());
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
  absl::MutexLock lock(&impl_->mutex);
  if (impl_->is_mending) return absl::FailedPreconditionError("the store is being mended");
  RETURN_IF_ERROR(ForgetSuspect(impl_->place));
  impl_->suspect = false;
  return absl::OkStatus();
}

}  // namespace dht
