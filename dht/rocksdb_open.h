// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_open.h — opening a RocksDB directory so that nothing acknowledged is lost in silence. Only for rocksdb_*.cc.
//
// Tried in order: the log whole (absolute consistency); what is readable up to the first damage; whatever is readable; a repair,
// which keeps every table file that is whole and puts the others into the directory's "lost"; then the directory is moved aside
// (".damaged-N") and an empty one made. RocksDB's own default drops acknowledged records behind a damaged log without a word, so
// anything but the first, a log that is missing as a whole or has a hole (rocksdb_log_holes.h), or a history shorter than what
// was acknowledged (rocksdb_watermark.h), leaves the suspect mark: a file beside the directory (".suspect"), synced before the
// first attempt that may drop something, so that no crash in between forgets it. Damaged tables are refused before RocksDB sees
// them (rocksdb_checked_tables.h): some would abort the process.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace rocksdb {
class ColumnFamilyHandle;
class CompactionFilter;
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace dht {

class Watermark;

inline constexpr char kFormatKey[] = "format";
inline constexpr char kFormatVersion[] = "1";
inline constexpr absl::Duration kFilterGrace =
    absl::Hours(24);  // compaction drops what expired so long ago; the sweep is earlier

struct OpenedRocksdb {
  OpenedRocksdb();
  OpenedRocksdb(OpenedRocksdb&& other) noexcept;
  OpenedRocksdb& operator=(OpenedRocksdb&&) = delete;
  ~OpenedRocksdb();

  std::unique_ptr<rocksdb::Env> env;  // both outlive the database
  std::unique_ptr<rocksdb::CompactionFilter> filter;
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* records = nullptr;  // owned, closed before db
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  std::shared_ptr<Watermark> watermark;
  bool suspect = false;
};

struct RocksdbPlace {
  std::string path;
  rocksdb::Env* env = nullptr;  // nothing: the real one
  std::function<absl::Time()> clock;
};

// What to begin with. kReopen: this process had it open until a write was refused, so the watermark is exact, and what the log
// lacks of a torn last write was never acknowledged; kRepair: a table turned out to be damaged; kStartAgain: a repair did not
// help.
enum class OpenEffort { kReopen, kOpen, kRepair, kStartAgain };

// Errors as RocksdbRecordStore::Open says; DataLoss: opened, but damaged inside: try the next effort.
absl::StatusOr<OpenedRocksdb> OpenRocksdb(const RocksdbPlace& place, OpenEffort effort);
absl::Status ForgetSuspect(const RocksdbPlace& place);

// Whether bytes are to blame, and not a disk that is full, locked, out of reach or out of file descriptors.
bool IsDamage(const rocksdb::Status& status);

}  // namespace dht
