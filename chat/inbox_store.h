// SPDX-License-Identifier: Apache-2.0
// chat/inbox_store.h — port: a durable map of byte strings for one inbox. rocksdb_inbox_store.h, memory_inbox_store.h.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace chat {

struct InboxWrite {
  base::Bytes key;
  std::optional<base::Bytes> value;  // none: erase
};

class InboxStore {
 public:
  virtual ~InboxStore() = default;

  // All or nothing, durable when it returns OK. Blocks; any thread.
  virtual absl::Status Apply(const std::vector<InboxWrite>& writes) = 0;
  // Everything whose key begins with the byte, in the order of keys.
  virtual absl::Status ForEach(uint8_t first,
                               const std::function<void(base::ByteView key, base::ByteView value)>& visit) const = 0;
  // What was erased of keys that begin with `first` to `last` is gone from the files, once it returned OK and the store is closed:
  // nothing of it waits in a log or in an older table.
  virtual absl::Status Scrub(uint8_t first, uint8_t last) = 0;
  // NotFound if there is none.
  virtual absl::StatusOr<base::Bytes> Get(base::ByteView key) const = 0;
};

}  // namespace chat
