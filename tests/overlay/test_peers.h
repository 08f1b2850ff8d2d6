// SPDX-License-Identifier: Apache-2.0
// tests/overlay/test_peers.h — peers at chosen points: the first byte of the point is all that tells them apart.
#pragma once

#include "absl/strings/str_cat.h"
#include "overlay/peer.h"

namespace overlay {

inline NodeId PointAt(int first_byte) {
  NodeId point;
  point.bytes[0] = static_cast<uint8_t>(first_byte);
  return point;
}

inline Peer PeerAt(int first_byte, Role role = Role::kStoring) {
  Peer peer;
  peer.point = PointAt(first_byte);
  peer.node_key.bytes[0] = static_cast<uint8_t>(first_byte);
  peer.node_key.bytes[1] = 1;
  peer.role = role;
  peer.address = absl::StrCat("127.0.0.1:", 10000 + first_byte);
  return peer;
}

inline std::vector<Peer> PeersAt(std::initializer_list<int> first_bytes) {
  std::vector<Peer> peers;
  for (const int byte : first_bytes) peers.push_back(PeerAt(byte));
  return peers;
}

}  // namespace overlay
