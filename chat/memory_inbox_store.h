// SPDX-License-Identifier: Apache-2.0
// chat/memory_inbox_store.h — an inbox that ends with the process: for tests and the demo.
#pragma once

#include <map>

#include "chat/inbox_store.h"

namespace chat {

class MemoryInboxStore : public InboxStore {
 public:
  absl::Status Apply(const std::vector<InboxWrite>& writes) override {
    for (const InboxWrite& write : writes) {
      if (write.value) {
        entries_[write.key] = *write.value;
      } else {
        entries_.erase(write.key);
      }
    }
    return absl::OkStatus();
  }
  absl::Status ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const override {
    for (auto it = entries_.lower_bound({first}); it != entries_.end() && it->first.front() == first; ++it) {
      visit(it->first, it->second);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<base::Bytes> Get(base::ByteView key) const override {
    const auto it = entries_.find(base::ToBytes(key));
    if (it == entries_.end()) return absl::NotFoundError("no such entry");
    return it->second;
  }

 private:
  std::map<base::Bytes, base::Bytes> entries_;
};

}  // namespace chat
