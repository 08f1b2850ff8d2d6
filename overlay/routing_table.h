// SPDX-License-Identifier: Apache-2.0
// overlay/routing_table.h — what a virtual node signs about its pointers: fingers, 16 successors, 16 predecessors.
//
//   head:  version 2 ‖ len 1 network ‖ owner (EncodePeer) ‖ after 8 ‖ issued 8 ‖ expires 8
//   lists: count 1 ‖ fingers, each: exponent 1 ‖ peer     (distinct successors of point + 2^exponent, exponents rising)
//          ‖ count 1 ‖ successors   ‖ count 1 ‖ predecessors (nearest first, distinct processes, without the owner)
//   table: head ‖ lists ‖ signature 64 over H("table", head ‖ H("table-lists", lists))
// At most kTableMax bytes; fetched through a circuit it is several cells long (circuits/relay_cell.h).
// `after` is when the owner signed its table before this one: by signing it says that with times in (after, issued] this is its
// only one (contradiction.h). Of tables with other times it says nothing, though all may be good for ten minutes.
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
inline constexpr size_t kTableHeadMax = 640;                            // a network's name of up to 255 bytes, a peer of 228
inline constexpr uint64_t kTableSecondsMax = INT32_MAX * uint64_t{16};  // since 1970; of its times

struct Finger {
  uint8_t exponent;
  Peer peer;
};

// All that the signature is over: what somebody signed can be shown without the lists.
struct TableHead {
  Peer owner;
  absl::Time after, issued, expires;
  base::Bytes encoded;  // head ‖ H("table-lists", lists) ‖ signature
};

struct RoutingTable {
  Peer owner;
  absl::Time after, issued, expires;
  std::vector<Finger> fingers;
  std::vector<Peer> successors, predecessors;
  base::Bytes encoded;
  base::Bytes head;  // TableHead::encoded

  // True if the lists close around the ring, so that owner, successors and predecessors are all of its members.
  bool CoversRing() const;
  // Owner, fingers and neighbours without duplicates, in ring order.
  std::vector<Peer> Members() const;
};

// `last`: when the table before was issued; this one is later whatever the clock says. Without one it speaks of its own second
// only.
void SignTable(const Network& network, const keys::SigningKey& node_key, RoutingTable& table, absl::Time wall_now,
               absl::Time last = absl::InfinitePast());
// As DecodeDescriptor. Order, distinctness and each finger's being at or after its ideal point are checked too.
absl::StatusOr<RoutingTable> DecodeTable(const Network& network, base::ByteView bytes, absl::Time wall_now);

TableHead HeadOf(const RoutingTable& table);
// Shape and signature; what its times are worth is for the caller to judge. Errors as DecodeDescriptor.
absl::StatusOr<TableHead> DecodeTableHead(const Network& network, base::ByteView bytes);

// All v virtual nodes of each process named: anybody can compute them, whether or not they stand on the ring just now.
std::vector<Peer> VirtualNodesOf(const Network& network, const std::vector<Peer>& peers);

// The first `count` storing processes at or after the point among these peers: owner and replicas (design.md 4).
std::vector<Peer> ResponsibleFor(const NodeId& point, std::vector<Peer> peers, size_t count);

}  // namespace overlay
