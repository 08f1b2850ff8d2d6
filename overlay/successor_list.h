// SPDX-License-Identifier: Apache-2.0
// overlay/successor_list.h — the successor list of a virtual node, and the longer chains that are kept beside it.
//
// Source: Zave, "Reasoning about identifier spaces: how to make Chord correct", arXiv 1502.06461.
// The list has exactly r entries on distinct processes. In a ring of at most r other processes it is cut where its owner would
// appear and so names all other members ("bootstrap mode", IsClosed). After its head failed, and until the next head answered, it
// is *open*: short, and what follows is not known. (Zave pads it there with identifiers that may belong to nobody.) It is always
// in ring order, without its owner and without duplicates, whatever bytes it was built from. With several virtual nodes per
// process it is the run of virtual nodes that reaches r distinct other processes, without a gap.
#pragma once

#include <vector>

#include "overlay/peer.h"

namespace overlay {

inline constexpr int kSuccessorCountMax = 32;  // r of any network: beyond it messages grow and nothing gets safer

class SuccessorList {
 public:
  // Writes: `first`, then `rest` up to r processes. What is not between the entry before it and `self` ends the list.
  // `rest_open`: nothing is known of what follows `rest`.
  void Assign(const Peer& self, const Peer& first, const std::vector<Peer>& rest, bool rest_open, int successor_count);
  void DropHead(const Peer& self, int successor_count);  // it failed
  void Clear() { *this = {}; }

  const std::vector<Peer>& peers() const { return peers_; }
  bool empty() const { return peers_.empty(); }
  const Peer& head() const { return peers_.front(); }  // not if empty
  bool Contains(const NodeId& point) const;
  bool is_open() const { return open_; }
  // Fewer than r processes, and these are all the others there are.
  bool IsClosed(const Peer& self, int successor_count) const;

 private:
  bool IsFull(const Peer& self, int successor_count) const;

  std::vector<Peer> peers_;
  bool open_ = false;
};

enum class Direction { kClockwise, kCounterClockwise };

// The chain of distinct processes that starts with `first` and goes on with `rest` away from `self`: at most `count`. What is out of
// order ends it; a process met twice, or self's own, is passed over.
std::vector<Peer> Chain(const Peer& self, const Peer& first, const std::vector<Peer>& rest, Direction direction, size_t count);

// The run of storing virtual nodes, without a gap, that starts with `first` and goes on with `rest` away from `self` until it
// names `processes` of them, self's own process not counted. What is out of order ends it. With one virtual node per process it
// is the chain of storing processes.
std::vector<Peer> StoringRun(const Peer& self, const Peer& first, const std::vector<Peer>& rest, Direction direction,
                             size_t processes);

size_t CountProcesses(const std::vector<Peer>& peers, const keys::PublicKey& but);  // distinct, without that one

// The same points at the same addresses.
bool SamePeers(const std::vector<Peer>& a, const std::vector<Peer>& b);
bool ContainsPoint(const std::vector<Peer>& peers, const NodeId& point);

}  // namespace overlay
