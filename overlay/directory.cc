// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "overlay/signed_record.h"

namespace overlay {

absl::StatusOr<Descriptor> Directory::Add(base::ByteView encoded, absl::Time wall_now) {
  if (const Descriptor* held = FindEncoded(encoded, wall_now)) return *held;
  ASSIGN_OR_RETURN(Descriptor descriptor, DecodeDescriptor(network_, encoded, wall_now));
  RETURN_IF_ERROR(CheckWelcome(descriptor, wall_now));
  return Keep(std::move(descriptor));
}

absl::StatusOr<Descriptor> Directory::AddOf(const keys::PublicKey& node_key, base::ByteView encoded, absl::Time wall_now) {
  const Descriptor* held = FindEncoded(encoded, wall_now);
  if (held != nullptr && held->node_key == node_key) return *held;
  ASSIGN_OR_RETURN(Descriptor descriptor, DecodeDescriptor(network_, encoded, wall_now));
  if (descriptor.node_key != node_key) return absl::UnauthenticatedError("the descriptor of somebody else");
  RETURN_IF_ERROR(CheckWelcome(descriptor, wall_now));
  return Keep(std::move(descriptor));
}

absl::Status Directory::CheckWelcome(const Descriptor& descriptor, absl::Time wall_now) {
  if (convictions_.IsConvicted(descriptor.node_key, wall_now)) return absl::PermissionDeniedError("convicted");
  return CheckWork(descriptor.node_key, descriptor.address, descriptor.admission, JudgedFor::kShown, wall_now);
}

absl::Status Directory::CheckAdmitted(const Peer& peer, absl::Time wall_now) {
  return CheckWork(peer.node_key, peer.address, peer.admission, JudgedFor::kOwnCalls, wall_now);
}

// Of a descriptor that is held, the work was looked at before: so those of neighbours are renewed whatever others show.
absl::Status Directory::CheckWork(const keys::PublicKey& node_key, const std::string& address, base::ByteView admission,
                                  JudgedFor sort, absl::Time wall_now) {
  if (network_.admission_effort == 0) return absl::OkStatus();
  const Descriptor* held = Find(node_key, wall_now);
  const bool is_same = held != nullptr && held->address == address &&
                       std::equal(admission.begin(), admission.end(), held->admission.begin(), held->admission.end());
  if (is_same) return CheckAdmissionTime(network_, node_key, admission, wall_now);
  return admissions_.Check(network_, node_key, address, admission, sort, wall_now);
}

const Descriptor& Directory::Keep(Descriptor verified) {
  const auto held = by_key_.find(verified.node_key);
  if (held != by_key_.end()) {
    if (verified.issued > held->second.issued) held->second = std::move(verified);
    return held->second;
  }
  if (by_key_.size() >= capacity_) MakeRoom();
  const keys::PublicKey node_key = verified.node_key;
  return by_key_.emplace(node_key, std::move(verified)).first->second;
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
  const bool is_held = found != by_key_.end() && found->second.expires > wall_now;
  return is_held && !convictions_.IsConvicted(node_key, wall_now) ? &found->second : nullptr;
}

const Descriptor* Directory::FindEncoded(base::ByteView encoded, absl::Time wall_now) const {
  base::ByteReader reader(encoded);
  if (!ReadRecordHead(network_, reader).ok()) return nullptr;
  const Descriptor* held = Find({reader.Array<32>()}, wall_now);
  if (held == nullptr) return nullptr;
  return std::equal(encoded.begin(), encoded.end(), held->encoded.begin(), held->encoded.end()) ? held : nullptr;
}

}  // namespace overlay
