// SPDX-License-Identifier: Apache-2.0
// chat/memory_inbox_store.h — an inbox that ends with the process: for tests and the demo.
#pragma once

#include <map>
#include <string>

#include "chat/inbox_store.h"

namespace chat {

class MemoryInboxStore : public InboxStore {
 public:
  absl::Status Apply(const std::vector<InboxWrite>& writes) override {
    for (const InboxWrite& write : writes) {
      if (write.value) {
        entries_[base::ToString(write.key)] = *write.value;
      } else {
        entries_.erase(base::ToString(write.key));
      }
    }
    return absl::OkStatus();
  }
  absl::Status Scrub(uint8_t, uint8_t) override { return absl::OkStatus(); }
  absl::Status ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const override {
    const std::string prefix(1, static_cast<char>(first));
    for (auto it = entries_.lower_bound(prefix); it != entries_.end() && it->first.starts_with(prefix); ++it) {
      visit(base::AsBytes(it->first), it->second);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<base::Bytes> Get(base::ByteView key) const override {
    const auto it = entries_.find(base::ToString(key));
    if (it == entries_.end()) return absl::NotFoundError("no such entry");
    return it->second;
  }

 private:
  std::map<std::string, base::Bytes> entries_;
};

}  // namespace chat
