// SPDX-License-Identifier: Apache-2.0
#include "keys/work_memory.h"

#include <utility>

namespace keys {

std::optional<bool> WorkMemory::Find(const Digest& what) const {
  const std::lock_guard lock(mutex_);
  for (const auto* outcomes : {&recent_, &older_}) {
    if (const auto found = outcomes->find(what); found != outcomes->end()) return found->second;
  }
  return std::nullopt;
}

void WorkMemory::Remember(const Digest& what, bool is_true) {
  const std::lock_guard lock(mutex_);
  if (recent_.size() == kWorkMemoryMax) older_ = std::exchange(recent_, {});
  recent_[what] = is_true;
}

}  // namespace keys
