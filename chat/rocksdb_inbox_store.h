// SPDX-License-Identifier: Apache-2.0
// chat/rocksdb_inbox_store.h — the inbox on disk: one RocksDB in a directory of its own (0700), synced writes.
// Beside the inbox's entries it holds the version of their format, 01 ‖ "format" = "1", written when there is none.
#pragma once

#include <memory>
#include <string>

#include "chat/inbox_store.h"

namespace chat {

class RocksDbInboxStore : public InboxStore {
 public:
  // Makes the directory if it is missing. Unavailable: another process holds it; FailedPrecondition: a newer version of
  // this program wrote it; DataLoss: damaged; PermissionDenied, ResourceExhausted: as the disk says. The text names the
  // directory.
  static absl::StatusOr<std::unique_ptr<RocksDbInboxStore>> Open(const std::string& directory);
  ~RocksDbInboxStore() override;

  absl::Status Apply(const std::vector<InboxWrite>& writes) override;
  absl::Status Scrub(uint8_t first, uint8_t last) override;
  absl::Status ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const override;
  absl::StatusOr<base::Bytes> Get(base::ByteView key) const override;

 private:
  struct Impl;
  explicit RocksDbInboxStore(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace chat
