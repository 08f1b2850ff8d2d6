// SPDX-License-Identifier: Apache-2.0
// overlay/directory.h — verified descriptors by node key, the newest of each, forgotten when they expire.
//
// Bounded (kDirectoryMax; beyond it the one that expires first goes). Not thread-safe: one event loop.
#pragma once

#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "overlay/descriptor.h"

namespace overlay {

inline constexpr size_t kDirectoryMax = 4096;  // about 500 bytes each

class Directory {
 public:
  explicit Directory(const Network& network) : network_(network) {}

  // Decodes and keeps it, if it is newer than what is held. Returns the one now held for that key.
  absl::StatusOr<Descriptor> Add(base::ByteView encoded, absl::Time wall_now);
  const Descriptor* Find(const keys::PublicKey& node_key, absl::Time wall_now) const;
  size_t size() const { return by_key_.size(); }

 private:
  const Network network_;
  absl::flat_hash_map<keys::PublicKey, Descriptor> by_key_;
};

}  // namespace overlay
