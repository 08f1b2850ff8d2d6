// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_watermark.h — how far a store had come, kept beside RocksDB's own files. Only for rocksdb_*.cc.
//
// A manifest that lost its end, or a log cut between two of its entries, is to RocksDB a shorter history, opened without a word;
// tables that the manifest no longer names are even deleted. So a file of our own, WATERMARK in the store's folder, says what
// there was: a store that opens with less has lost something. 32 bytes, numbers big-endian:
//
//   sequence 8 ‖ manifest 8 ‖ its size 8 ‖ 8, the start of H("watermark", the 24 bytes before)
//     sequence  RocksDB's number of the newest write that was acknowledged
//     manifest  the number in the name of the newest manifest that was synced, and how many of its bytes were
// It is made, synced, before there is anything to lose, and rewritten in place, unsynced, after every write and every sync of a
// manifest. A killed process leaves it exact; lost power may leave an older one, which notices less, but never one too high.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace rocksdb {
class Env;
class FileSystem;
class RandomRWFile;
}  // namespace rocksdb

namespace dht {

class Watermark {
 public:
  struct Mark {
    uint64_t sequence = 0;
    uint64_t manifest = 0;
    uint64_t manifest_size = 0;
  };

  // What stands in the folder; nothing if there is no such file or it is damaged.
  static std::optional<Mark> Read(rocksdb::Env& env, const std::string& folder);
  // Whether the manifest of the mark is in use and shorter than it was, or has a hole (rocksdb_log_holes.h) in what was synced.
  // (An older one may be in use after a crash: nothing is deleted before CURRENT names the new one.) A folder without a manifest
  // is not judged.
  static bool ManifestFellBehind(rocksdb::Env& env, const std::string& folder, const Mark& mark);

  // From here on, with the folder to itself. ResourceExhausted: the disk refuses it.
  static absl::StatusOr<std::shared_ptr<Watermark>> Start(rocksdb::Env& env, const std::string& folder, const Mark& mark);
  ~Watermark();

  // Any thread. A disk that refuses leaves the older mark.
  void Advance(uint64_t sequence);
  void OnManifest(uint64_t manifest, uint64_t size);
  // Also to a lower one, and synced: what was lost is known now. ResourceExhausted as above.
  absl::Status Reset(uint64_t sequence);

 private:
  Watermark(std::unique_ptr<rocksdb::RandomRWFile> file, const Mark& mark);

  absl::Mutex mutex_;
  const std::unique_ptr<rocksdb::RandomRWFile> file_;
  Mark mark_ ABSL_GUARDED_BY(mutex_);
};

// A file system on which syncs of manifests go into the mark, and which does not tell RocksDB how much space is free.
std::shared_ptr<rocksdb::FileSystem> WatchManifests(std::shared_ptr<rocksdb::FileSystem> under,
                                                    std::shared_ptr<Watermark> watermark);

}  // namespace dht
