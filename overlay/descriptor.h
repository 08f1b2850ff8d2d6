// SPDX-License-Identifier: Apache-2.0
// overlay/descriptor.h — what a node signs about itself, at most 512 bytes: who it is, where, and how to build a hop to it.
//
//   version 2 ‖ len 1 network ‖ node key 32 ‖ onion key 32 ‖ role 1 ‖ len 1 address ‖ len 1 admission
//   ‖ issued 8 ‖ expires 8 (seconds since 1970, UTC) ‖ signature 64 over H("descriptor", all before)
// Source: protocol.md 2. Together with the routing table (routing_table.h) it is all that a client needs to choose hops by.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keys/identity.h"
#include "keys/x25519.h"
#include "overlay/network.h"
#include "overlay/peer.h"

namespace overlay {

inline constexpr size_t kDescriptorMax = 512;

struct Descriptor {
  keys::PublicKey node_key;
  keys::X25519Public onion_key{};
  Role role = Role::kStoring;
  std::string address;
  base::Bytes admission;
  absl::Time issued, expires;
  base::Bytes encoded;  // the signed bytes, as they travel

  Peer ToPeer(const Network& network, uint8_t index = 0) const {
    return MakePeer(network, node_key, index, role, address, admission);
  }
};

// Signs and fills `encoded`; address and admission must fit.
Descriptor SignDescriptor(const Network& network, const keys::SigningKey& node_key, const keys::X25519Public& onion_key, Role role,
                          std::string address, base::Bytes admission, absl::Time wall_now);

// Everything is checked: size, version, network (FailedPrecondition with a text for the user when either differs), address
// (InvalidArgument), signature (Unauthenticated), lifetime with an hour's tolerance for clocks (Unavailable when expired); of the
// admission all but the work itself (VerifyAdmission).
absl::StatusOr<Descriptor> DecodeDescriptor(const Network& network, base::ByteView bytes, absl::Time wall_now);

}  // namespace overlay
