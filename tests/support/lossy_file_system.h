// SPDX-License-Identifier: Apache-2.0
// tests/support/lossy_file_system.h — a disk under RocksDB whose power can go: what was not synced is then lost, in part or
// whole.
//
// A wrapper over the real file system. While the power is on everything passes through; what was synced is kept account of:
//  - bytes of a file are safe once the file was synced;
//  - creations, renames and deletions are safe once their directory was synced. Deleted files are kept until then.
// CutPower, or the operation that Schedule counts down to, makes every later change fail. Restore then shapes the disk as it may
// be found: of each file's unsynced bytes a random part is kept, pages of it may be missing, the last may be torn; of the
// unsynced changes of directories a random first part is kept. Synced bytes are never touched.
// Source: the idea of RocksDB's FaultInjectionTestFS, which Debian does not ship.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/rng.h"

namespace support {

class LossyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  struct Options {
    std::string graveyard;        // an existing folder on the same disk, outside of what is tested
    bool logs_are_synced = true;  // false: syncing a *.log says OK and does nothing. The control: then records must be lost
  };
  LossyFileSystem(Options options, base::Rng& rng);
  ~LossyFileSystem() override;

  // The power goes with the n-th change of the disk from now on (0: the next one). That change may or may not happen.
  void Schedule(uint64_t changes);
  void CutPower();
  bool off() const;
  // When all that had files open is gone: loses what may be lost, and the power is back.
  void Restore();

  const char* Name() const override { return "LossyFileSystem"; }
  using Status = rocksdb::IOStatus;
  Status NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                         std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override;
  Status ReopenWritableFile(const std::string&, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSWritableFile>*,
                            rocksdb::IODebugContext*) override;
  Status ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>*, rocksdb::IODebugContext*) override;
  Status NewDirectory(const std::string& path, const rocksdb::IOOptions& options, std::unique_ptr<rocksdb::FSDirectory>* result,
                      rocksdb::IODebugContext* debug) override;
  Status DeleteFile(const std::string& path, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  Status RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                    rocksdb::IODebugContext* debug) override;
  Status LinkFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                  rocksdb::IODebugContext* debug) override;

 private:
  struct File {
    uint64_t size = 0;
    uint64_t synced = 0;
  };
  struct Change {  // of a directory, not synced
    std::string folder;
    std::string from;   // was renamed or deleted; empty: a creation
    std::string to;     // was created, or renamed to; empty: a deletion
    std::string saved;  // in the graveyard: what lay at `to` before, or at `from` if that was deleted
    std::shared_ptr<File> saved_file;
  };
  class WritableFile;
  class Directory;

  bool Spend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);  // false: not this change
  std::string Save(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Note(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { changes_.push_back(std::move(change)); }
  void SyncFolder(const std::string& folder) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Undo(const Change& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Lose(const std::string& path, const File& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  base::Rng& rng_;
  mutable absl::Mutex mutex_;
  bool off_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t changes_left_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t last_saved_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::shared_ptr<File>> files_ ABSL_GUARDED_BY(mutex_);  // written since the power came; others are safe
  std::vector<Change> changes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace support
