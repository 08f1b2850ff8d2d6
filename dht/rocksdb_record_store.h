// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_record_store.h — records on disk: one RocksDB directory, one process.
//
//   column family "default":  key   point 32 ‖ kind 1 ‖ id 32
//                             value expiry 8 ‖ body ‖ checksum 8 (start of H("stored", key, expiry, body))
//   column family "meta":     "format" = "1"; "beat", rewritten by empty batches
// Durable: every Apply ends with a sync of the write-ahead log; concurrent ones share it (RocksDB's write group).
// Opening: the log must be whole (absolute consistency). If it is not, what can be read is kept (point in time) and the store is
// suspect (rocksdb_open.h); a directory without hope is moved aside (".damaged-N") and the store starts empty and suspect.
// Every table is read when opening. A damaged one is set aside (in the directory's "lost"), and the rest is kept; damage that
// shows later, when a block is read or rewritten, is mended the same way by a thread of its own: until then the store is suspect,
// reads are Unavailable and writes wait. That is over soon, and what is gone is fetched from replicas. Nothing is deleted.
// Expired records are never returned; the replicator sweeps them, and a compaction filter drops what it missed for a day.
// A disk that refused a write: the store goes on reading, refuses further ones, and when there is space again (32 MiB) closes the
// database and opens it, by the same thread; reads are Unavailable for that moment. RocksDB's own way of resuming is not taken:
// after a manifest that could not be written it deleted tables in use, or waited for ever.
// RocksDB writes no log file of its own. About 20 MiB of memory when busy.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "dht/record_store.h"

namespace rocksdb {
class Env;
}

namespace dht {

class RocksdbRecordStore : public RecordStore {
 public:
  struct Options {
    std::string path;             // created if missing, with mode 0700
    rocksdb::Env* env = nullptr;  // for tests that make the disk fail; nothing: the real one. Outlives the store.
    std::function<absl::Time()> clock = [] { return absl::Now(); };  // wall clock, for what compaction drops
  };

  // FailedPrecondition: the directory is locked by another process; Unimplemented: its format is of another version;
  // PermissionDenied: not ours to write, or a read-only disk; ResourceExhausted: no space to open it; Internal otherwise. The text
  // is for the user.
  static absl::StatusOr<std::unique_ptr<RocksdbRecordStore>> Open(const Options& options);
  ~RocksdbRecordStore() override;

  absl::StatusOr<Record> Get(const RecordName& name, absl::Time wall_now) const override;
  absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                    const NameVisitor& visit) const override;
  absl::Status ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                       const std::function<void(const Record&)>& visit) const override;
  absl::Status Apply(const WriteBatch& batch) override;
  StoreCounts counts() const override;
  StoreState state() const override;
  bool suspect() const override;
  absl::Status ClearSuspect() override;

 private:
  struct Impl;
  explicit RocksdbRecordStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dht
