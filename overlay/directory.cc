// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory.h"

#include <algorithm>

#include "base/status_macros.h"

namespace overlay {

absl::StatusOr<Descriptor> Directory::Add(base::ByteView encoded, absl::Time wall_now) {
  ASSIGN_OR_RETURN(Descriptor descriptor, DecodeDescriptor(network_, encoded, wall_now));
  const auto held = by_key_.find(descriptor.node_key);
  if (held != by_key_.end()) {
    if (descriptor.issued > held->second.issued) held->second = std::move(descriptor);
    return held->second;
  }
  if (by_key_.size() >= kDirectoryMax) {
    by_key_.erase(std::min_element(by_key_.begin(), by_key_.end(),
                                   [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; }));
  }
  return by_key_.emplace(descriptor.node_key, descriptor).first->second;
}

const Descriptor* Directory::Find(const keys::PublicKey& node_key, absl::Time wall_now) const {
  const auto found = by_key_.find(node_key);
  return found == by_key_.end() || found->second.expires <= wall_now ? nullptr : &found->second;
}

}  // namespace overlay
