// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory.h"

#include "base/status_macros.h"

namespace overlay {

absl::StatusOr<Descriptor> Directory::Add(base::ByteView encoded, absl::Time wall_now) {
  ASSIGN_OR_RETURN(Descriptor descriptor, DecodeDescriptor(network_, encoded, wall_now));
  const auto held = by_key_.find(descriptor.node_key);
  if (held != by_key_.end()) {
    if (descriptor.issued > held->second.issued) held->second = std::move(descriptor);
    return held->second;
  }
  if (by_key_.size() >= capacity_) MakeRoom();
  return by_key_.emplace(descriptor.node_key, descriptor).first->second;
}

void Directory::MakeRoom() {
  auto first = by_key_.end();
  for (auto it = by_key_.begin(); it != by_key_.end(); ++it) {
    if (protected_.contains(it->first)) continue;
    if (first == by_key_.end() || it->second.expires < first->second.expires) first = it;
  }
  if (first != by_key_.end()) by_key_.erase(first);
}

const Descriptor* Directory::Find(const keys::PublicKey& node_key, absl::Time wall_now) const {
  const auto found = by_key_.find(node_key);
  return found == by_key_.end() || found->second.expires <= wall_now ? nullptr : &found->second;
}

}  // namespace overlay
