// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_open.h — opening a RocksDB directory so that nothing acknowledged is lost in silence. Only for rocksdb_*.cc.
//
// Tried in order: the log whole (absolute consistency); what is readable up to the first damage; whatever is readable; then the
// directory is moved aside and an empty one made. Anything but the first leaves the persisted "suspect" mark: RocksDB's own
// default drops acknowledged records behind a damaged log without a word.
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
}  // namespace rocksdb

namespace dht {

inline constexpr char kSuspectKey[] = "suspect";
inline constexpr char kFormatKey[] = "format";
inline constexpr char kFormatVersion[] = "1";
inline constexpr absl::Duration kFilterGrace =
    absl::Hours(24);  // compaction drops what expired so long ago; the sweep is earlier

struct OpenedRocksdb {
  OpenedRocksdb();
  OpenedRocksdb(OpenedRocksdb&& other) noexcept;
  OpenedRocksdb& operator=(OpenedRocksdb&&) = delete;
  ~OpenedRocksdb();

  std::unique_ptr<rocksdb::CompactionFilter> filter;  // outlives the database
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* records = nullptr;  // owned, closed before db
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  bool suspect = false;
};

// Errors as RocksdbRecordStore::Open says.
absl::StatusOr<OpenedRocksdb> OpenRocksdb(const std::string& path, rocksdb::Env* env, std::function<absl::Time()> clock);

}  // namespace dht
