// SPDX-License-Identifier: Apache-2.0
// overlay/directory.h — verified descriptors by node key, the newest of each, forgotten when they expire.
//
// Bounded: beyond the capacity the one that expires first goes. Anybody can show descriptors of fresh keys, which all expire later
// than those held, so what a node lives by (its neighbours and fingers) is protected from them.
// Who is convicted (convictions.h) has no descriptor here: it is nobody, on links, in calls and as a hop.
// Not thread-safe: one event loop.
#pragma once

#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "overlay/admission.h"
#include "overlay/convictions.h"
#include "overlay/descriptor.h"

namespace overlay {

inline constexpr size_t kDirectoryMax = 4096;  // about 500 bytes each

class Directory {
 public:
  explicit Directory(const Network& network, size_t capacity = kDirectoryMax) : network_(network), capacity_(capacity), convictions_(network) {}

  // Decodes and keeps it, if it is newer than what is held. Returns the one now held for that key. PermissionDenied: convicted,
  // or without the work that the network asks for; ResourceExhausted: not now (AdmissionBook).
  absl::StatusOr<Descriptor> Add(base::ByteView encoded, absl::Time wall_now);
  // As Add, for one that has to be of this key (else Unauthenticated). The very one that is held costs no check of a signature.
  absl::StatusOr<Descriptor> AddOf(const keys::PublicKey& node_key, base::ByteView encoded, absl::Time wall_now);
  // As Add, for one that DecodeDescriptor gave just now.
  const Descriptor& Keep(Descriptor verified);
  // The one whose bytes these are, if it is held: what was verified once is not verified again. Null otherwise.
  const Descriptor* FindEncoded(base::ByteView encoded, absl::Time wall_now) const;
  // From now on these keys, and no others, are never made room with; far fewer than the capacity.
  void Protect(absl::flat_hash_set<keys::PublicKey> node_keys) { protected_ = std::move(node_keys); }
  bool IsProtected(const keys::PublicKey& node_key) const { return protected_.contains(node_key); }
  const Descriptor* Find(const keys::PublicKey& node_key, absl::Time wall_now) const;
  // Whether this peer worked for its place, as AdmissionBook; costs nothing for one whose descriptor is held.
  absl::Status CheckAdmitted(const Peer& peer, absl::Time wall_now);
  size_t size() const { return by_key_.size(); }
  const Network& network() const { return network_; }
  Convictions& convictions() { return convictions_; }
  const Convictions& convictions() const { return convictions_; }

 private:
  void MakeRoom();
  absl::Status CheckWelcome(const Descriptor& descriptor, absl::Time wall_now);
  absl::Status CheckWork(const keys::PublicKey& node_key, const std::string& address, base::ByteView admission, JudgedFor sort,
                         absl::Time wall_now);

  const Network network_;
  const size_t capacity_;
  Convictions convictions_;
  AdmissionBook admissions_;
  absl::flat_hash_set<keys::PublicKey> protected_;
  absl::flat_hash_map<keys::PublicKey, Descriptor> by_key_;
};

}  // namespace overlay
