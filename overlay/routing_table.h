// SPDX-License-Identifier: Apache-2.0
// overlay/routing_table.h — what a virtual node signs about its pointers: fingers, 16 successors, 16 predecessors.
//
//   version 2 ‖ len 1 network ‖ owner (EncodePeer) ‖ issued 8 ‖ expires 8
//   ‖ count 1 ‖ fingers, each: exponent 1 ‖ peer     (distinct successors of point + 2^exponent, exponents rising)
//   ‖ count 1 ‖ successors   ‖ count 1 ‖ predecessors (nearest first, distinct processes, without the owner)
//   ‖ signature 64 over H("table", all before)
// At most kTableMax bytes; fetched through a circuit it is several cells long (circuits/relay_cell.h).
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keys/identity.h"
#include "overlay/peer.h"

namespace overlay {

inline constexpr size_t kTableNeighbours = 16;
inline constexpr size_t kTableFingersMax = 64;
inline constexpr size_t kTableMax = 24 * 1024;

struct Finger {
  uint8_t exponent;
  Peer peer;
};

struct RoutingTable {
  Peer owner;
  absl::Time issued, expires;
  std::vector<Finger> fingers;
  std::vector<Peer> successors, predecessors;
  base::Bytes encoded;

  // True if the lists close around the ring, so that owner, successors and predecessors are all of its members.
  bool CoversRing() const;
  // Owner, fingers and neighbours without duplicates, in ring order.
  std::vector<Peer> Members() const;
};

void SignTable(const Network& network, const keys::SigningKey& node_key, RoutingTable& table, absl::Time wall_now);
// As DecodeDescriptor. Order, distinctness and each finger's being at or after its ideal point are checked too.
absl::StatusOr<RoutingTable> DecodeTable(const Network& network, base::ByteView bytes, absl::Time wall_now);

// All v virtual nodes of each process named: anybody can compute them, whether or not they stand on the ring just now.
std::vector<Peer> VirtualNodesOf(const Network& network, const std::vector<Peer>& peers);

// The first `count` storing processes at or after the point among these peers: owner and replicas (design.md 4).
std::vector<Peer> ResponsibleFor(const NodeId& point, std::vector<Peer> peers, size_t count);

}  // namespace overlay
