// SPDX-License-Identifier: Apache-2.0
// overlay/peer.h — a virtual node as others name it.
//
//   point = H("node", network, node key, admission, index as one byte)
// The point is never on the wire: whoever hears of a peer computes it, so nobody chooses one (design.md 2, protocol.md 1).
// What is heard of a peer is hearsay until it answered on a link that proves its node key.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "keys/identity.h"
#include "overlay/network.h"
#include "overlay/node_id.h"

namespace overlay {

enum class Role : uint8_t {
  kStoring = 1,  // member of the ring, stores records, relays
  kRelay = 2,    // member of the ring, relays only
};

inline constexpr size_t kAddressMax = 64;     // "host:port"; host an IP literal, v6 in brackets
inline constexpr size_t kAdmissionMax = 128;  // admission.h; empty where the network asks for no work

NodeId PointOf(const Network& network, const keys::PublicKey& node_key, base::ByteView admission, uint8_t index);

struct Peer {
  keys::PublicKey node_key;
  uint8_t index = 0;  // which of the process's virtual nodes
  Role role = Role::kStoring;
  std::string address;
  base::Bytes admission;
  NodeId point;  // computed by MakePeer and DecodePeer

  bool SameProcess(const Peer& other) const { return node_key == other.node_key; }
  bool operator==(const Peer& other) const { return point == other.point; }
};

Peer MakePeer(const Network& network, const keys::PublicKey& node_key, uint8_t index, Role role, std::string address,
              base::Bytes admission = {});

//   node key 32 ‖ index 1 ‖ role 1 ‖ len 1 ‖ address ‖ len 1 ‖ admission
void EncodePeer(const Peer& peer, base::ByteWriter& writer);
// InvalidArgument: sizes, role, index >= v, an address that is no IP literal with a port, or one the network does not allow, an
// admission that fails the cheap check.
absl::StatusOr<Peer> DecodePeer(const Network& network, base::ByteReader& reader);
base::Bytes EncodePeer(const Peer& peer);
absl::StatusOr<Peer> DecodePeer(const Network& network, base::ByteView bytes);

// InvalidArgument unless "IP:port" (IPv4 dotted or [IPv6], port 1..65535) that this network allows.
absl::Status CheckAddress(const Network& network, const std::string& address);

}  // namespace overlay
