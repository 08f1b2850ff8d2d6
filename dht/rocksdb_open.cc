// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_open.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/status_macros.h"
#include "dht/rocksdb_checked_tables.h"
#include "dht/rocksdb_log_holes.h"
#include "dht/rocksdb_watermark.h"

namespace dht {
namespace {

namespace fs = std::filesystem;

// RocksDB's own log would hold paths and keys.
class NoLogger : public rocksdb::Logger {
 public:
  NoLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::HEADER_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class ExpiryFilter : public rocksdb::CompactionFilter {
 public:
  explicit ExpiryFilter(std::function<absl::Time()> clock) : clock_(std::move(clock)) {}
  const char* Name() const override { return "bulbil.expiry"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*, bool*) const override {
    base::ByteReader reader({reinterpret_cast<const uint8_t*>(value.data()), value.size()});
    const uint64_t expiry = reader.U64();
    return reader.ok() && absl::FromUnixSeconds(static_cast<int64_t>(expiry)) < clock_() - kFilterGrace;
  }

 private:
  const std::function<absl::Time()> clock_;
};

rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.info_log = std::make_shared<NoLogger>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_open_files = 128;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 16 << 20;
  options.max_manifest_file_size = 4 << 20;
  options.track_and_verify_wals_in_manifest = true;  // a log that is missing as a whole is noticed
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = buffer_bytes;
  options.compression = rocksdb::kNoCompression;  // sealed bodies do not compress
  options.target_file_size_base = 8 << 20;        // what one damaged block takes with it in a repair
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.format_version = kTableFormat;
  table.checksum = rocksdb::kCRC32c;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Env* EnvOf(const RocksdbPlace& place) { return place.env != nullptr ? place.env : rocksdb::Env::Default(); }
std::string SuspectMarkOf(const RocksdbPlace& place) { return place.path + ".suspect"; }

std::vector<rocksdb::ColumnFamilyDescriptor> Families(const OpenedRocksdb& opened) {
  rocksdb::ColumnFamilyOptions records = FamilyOptions(8 << 20);
  records.compaction_filter = opened.filter.get();
  return {{rocksdb::kDefaultColumnFamilyName, records}, {"meta", FamilyOptions(1 << 20)}};
}

rocksdb::Status TryOpen(const RocksdbPlace& place, rocksdb::WALRecoveryMode mode, OpenedRocksdb& opened) {
  rocksdb::DBOptions options = DatabaseOptions(opened.env.get());
  options.wal_recovery_mode = mode;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, place.path, Families(opened), &handles, &db);
  if (!status.ok()) return status;
  opened.db.reset(db);
  opened.records = handles[0];
  opened.meta = handles[1];
  return status;
}

// By another process, or by this one.
bool IsLocked(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() &&
         (absl::StrContains(text, std::strerror(EAGAIN)) || absl::StrContains(text, "lock hold by current process"));
}

absl::Status LockedError(const std::string& path) {
  std::string who = "another process";
  const int file = open((path + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (file >= 0 && fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) absl::StrAppend(&who, " (pid ", lock.l_pid, ")");
  if (file >= 0) close(file);
  return absl::FailedPreconditionError(absl::StrCat("node store is locked by ", who));
}

absl::Status OpenError(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return absl::ResourceExhaustedError("no space left on the disk of the node store");
  for (const int refusal : {EACCES, EPERM, EROFS}) {
    if (absl::StrContains(status.ToString(), std::strerror(refusal))) {
      return absl::PermissionDeniedError("node store may not be written");
    }
  }
  return absl::InternalError(absl::StrCat("node store does not open: ", status.ToString()));
}

// So that nothing is judged, or marked, that another process has open.
absl::Status TryLock(const RocksdbPlace& place) {
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status status = EnvOf(place)->LockFile(place.path + "/LOCK", &lock);
  if (IsLocked(status)) return LockedError(place.path);
  if (!status.ok()) return OpenError(status);
  EnvOf(place)->UnlockFile(lock).PermitUncheckedError();
  return absl::OkStatus();
}

// What of a database lies in a directory.
struct Parts {
  bool current = false, log = false, other = false;

  // RocksDB would take it for a new one, and clear away the files of the old.
  bool LackCurrent() const { return !current && (log || other); }
  // RocksDB would open it as if nothing had been written since the last flush. An open database always has a log.
  bool LackLog() const { return current && !log; }
  bool AreNone() const { return !current && !log && !other; }
};

Parts PartsIn(const std::string& path) {
  Parts parts;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    parts.current |= name == "CURRENT";
    parts.log |= absl::EndsWith(name, ".log");
    parts.other |= absl::StartsWith(name, "MANIFEST-") || absl::EndsWith(name, ".sst");
  }
  return parts;
}

bool AnyLogHasHole(const RocksdbPlace& place) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(place.path, error)) {
    if (entry.path().extension() == ".log" && HasHole(*EnvOf(place), entry.path().string())) return true;
  }
  return false;
}

absl::Status MoveAside(const std::string& path) {
  for (int n = 1;; ++n) {
    const std::string aside = absl::StrCat(path, ".damaged-", n);
    std::error_code error;
    if (fs::exists(aside, error)) continue;
    fs::rename(path, aside, error);
    if (error) return absl::InternalError("a damaged node store cannot be moved aside");
    fs::create_directories(path, error);
    fs::permissions(path, fs::perms::owner_all, error);
    fs::rename(aside + "/WATERMARK", path + "/WATERMARK", error);  // it is open, and goes on
    return absl::OkStatus();
  }
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  if (!fs::create_directories(path, error)) {
    return error ? absl::PermissionDeniedError("node store cannot be created") : absl::OkStatus();
  }
  fs::permissions(path, fs::perms::owner_all, error);
  return absl::OkStatus();
}

absl::Status MarkSuspect(const RocksdbPlace& place) {
  const absl::Status error = absl::ResourceExhaustedError("a damaged node store cannot be marked as such");
  if (!rocksdb::WriteStringToFile(EnvOf(place), "1", SuspectMarkOf(place), /*should_sync=*/true).ok()) return error;
  std::unique_ptr<rocksdb::Directory> folder;
  const std::string parent = fs::absolute(place.path).parent_path().string();
  if (!EnvOf(place)->NewDirectory(parent, &folder).ok() || !folder->Fsync().ok()) return error;
  return absl::OkStatus();
}

// OK and no database: damaged.
absl::Status TryModes(const RocksdbPlace& place, std::initializer_list<rocksdb::WALRecoveryMode> modes, OpenedRocksdb& opened) {
  for (const rocksdb::WALRecoveryMode mode : modes) {
    const rocksdb::Status status = TryOpen(place, mode, opened);
    if (status.ok()) return absl::OkStatus();
    if (!IsDamage(status)) return OpenError(status);
    RETURN_IF_ERROR(MarkSuspect(place));
  }
  return absl::OkStatus();
}

absl::Status OpenInOrder(const RocksdbPlace& place, OpenEffort effort, OpenedRocksdb& opened) {
  using Mode = rocksdb::WALRecoveryMode;
  const Parts parts = PartsIn(place.path);
  if (parts.LackLog() || AnyLogHasHole(place)) RETURN_IF_ERROR(MarkSuspect(place));
  if (effort == OpenEffort::kReopen) {
    const rocksdb::Status status = TryOpen(place, Mode::kPointInTimeRecovery, opened);
    if (status.ok()) return absl::OkStatus();
    if (!IsDamage(status)) return OpenError(status);
  }
  if (effort <= OpenEffort::kOpen && !parts.LackCurrent()) {
    RETURN_IF_ERROR(
        TryModes(place, {Mode::kAbsoluteConsistency, Mode::kPointInTimeRecovery, Mode::kSkipAnyCorruptedRecords}, opened));
    if (opened.db != nullptr) return absl::OkStatus();
  }
  RETURN_IF_ERROR(MarkSuspect(place));
  if (effort != OpenEffort::kStartAgain) {
    const rocksdb::Status repaired = rocksdb::RepairDB(place.path, DatabaseOptions(opened.env.get()), Families(opened));
    if (!repaired.ok() && !IsDamage(repaired)) return OpenError(repaired);
    if (repaired.ok()) RETURN_IF_ERROR(TryModes(place, {Mode::kSkipAnyCorruptedRecords}, opened));
    if (opened.db != nullptr) return absl::OkStatus();
  }
  RETURN_IF_ERROR(MoveAside(place.path));
  const rocksdb::Status status = TryOpen(place, Mode::kAbsoluteConsistency, opened);
  return status.ok() ? absl::OkStatus() : OpenError(status);
}

absl::Status CheckFormat(OpenedRocksdb& opened) {
  std::string value;
  const rocksdb::Status format = opened.db->Get(rocksdb::ReadOptions(), opened.meta, kFormatKey, &value);
  if (format.ok() && value != kFormatVersion) {
    return absl::UnimplementedError("node store was written by another version of this program");
  }
  if (format.ok()) return absl::OkStatus();
  if (!format.IsNotFound()) {
    return IsDamage(format) ? absl::DataLossError("node store is damaged")
                            : absl::InternalError("the disk does not let the node store be read");
  }
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (opened.db->Put(synced, opened.meta, kFormatKey, kFormatVersion).ok()) return absl::OkStatus();
  return absl::ResourceExhaustedError("node store cannot be written");
}

}  // namespace

OpenedRocksdb::OpenedRocksdb() = default;

OpenedRocksdb::OpenedRocksdb(OpenedRocksdb&& other) noexcept
    : env(std::move(other.env)),
      filter(std::move(other.filter)),
      db(std::move(other.db)),
      records(std::exchange(other.records, nullptr)),
      meta(std::exchange(other.meta, nullptr)),
      watermark(std::move(other.watermark)),
      suspect(other.suspect) {}

OpenedRocksdb::~OpenedRocksdb() {
  if (db == nullptr) return;
  db->DestroyColumnFamilyHandle(records).PermitUncheckedError();
  db->DestroyColumnFamilyHandle(meta).PermitUncheckedError();
  db->Close().PermitUncheckedError();
}

bool IsDamage(const rocksdb::Status& status) {
  return status.IsCorruption() || status.IsNotFound() || status.IsPathNotFound() || status.IsInvalidArgument() ||
         status.IsNotSupported();
}

absl::StatusOr<OpenedRocksdb> OpenRocksdb(const RocksdbPlace& place, OpenEffort effort) {
  RETURN_IF_ERROR(MakeDirectory(place.path));
  RETURN_IF_ERROR(TryLock(place));
  rocksdb::Env& env = *EnvOf(place);
  const bool is_new = PartsIn(place.path).AreNone();
  const std::optional<Watermark::Mark> mark = Watermark::Read(env, place.path);
  const bool fell_behind = mark && Watermark::ManifestFellBehind(env, place.path, *mark);
  if ((!mark && !is_new) || fell_behind) RETURN_IF_ERROR(MarkSuspect(place));
  OpenedRocksdb opened;
  ASSIGN_OR_RETURN(opened.watermark, Watermark::Start(env, place.path, mark.value_or(Watermark::Mark())));
  opened.env = rocksdb::NewCompositeEnv(CheckTables(WatchManifests(env.GetFileSystem(), opened.watermark)));
  opened.filter = std::make_unique<ExpiryFilter>(place.clock);
  // What the manifest forgot may still be there: a repair looks at every table of the folder.
  RETURN_IF_ERROR(OpenInOrder(place, fell_behind ? std::max(effort, OpenEffort::kRepair) : effort, opened));
  if (mark && opened.db->GetLatestSequenceNumber() < mark->sequence) RETURN_IF_ERROR(MarkSuspect(place));
  RETURN_IF_ERROR(CheckFormat(opened));
  RETURN_IF_ERROR(opened.watermark->Reset(opened.db->GetLatestSequenceNumber()));
  opened.suspect = EnvOf(place)->FileExists(SuspectMarkOf(place)).ok();
  return opened;
}

absl::Status ForgetSuspect(const RocksdbPlace& place) {
  const rocksdb::Status status = EnvOf(place)->DeleteFile(SuspectMarkOf(place));
  if (status.ok() || status.IsNotFound() || status.IsPathNotFound()) return absl::OkStatus();
  return absl::ResourceExhaustedError("the suspect mark cannot be removed");
}

}  // namespace dht
