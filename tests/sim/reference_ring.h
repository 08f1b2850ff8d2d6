// SPDX-License-Identifier: Apache-2.0
// tests/sim/reference_ring.h — rings that are known to be wrong, step by step: what our scripts have to be able to break.
//
// kToN: the original Chord with lists of two, as P. Zave models it (Alloy model of 2012): join, stabilize with notified, update
// (dead successor: the next entry), reconcile (second entry := the successor's successor), flush (dead predecessor: none), fail.
// kSeed: one whole round in one call, lists of any length cut at one's own predecessor, the failover that passes over the first
// entry, and "successor := self" where none answers.
// Test code only; nothing of it is used by overlay/.
#pragma once

#include <optional>
#include <vector>

#include "tests/sim/ring_checkers.h"

namespace sim {

class ReferenceRing {
 public:
  enum class Rules { kToN, kSeed };
  static constexpr size_t kListMax = 20;  // the seed's; ToN's model has two entries

  // Nodes 0..nodes-1 stand on the ring in that order. Node 0 runs, alone, pointing at itself.
  ReferenceRing(size_t nodes, Rules rules);

  void Join(size_t node, size_t successor);  // what a lookup gave it, dead or alive
  void Stabilize(size_t node);               // and the new successor is notified
  void Update(size_t node);
  void Reconcile(size_t node);
  void Flush(size_t node);
  void Fail(size_t node) { nodes_[node].live = false; }
  void SeedRound(size_t node);
  // Every operation of every live node, again and again.
  void Settle();

  bool IsLive(size_t node) const { return nodes_[node].live; }
  size_t successor(size_t node) const { return nodes_[node].list.front(); }
  // The first live entry; nothing if there is none.
  std::optional<size_t> Best(size_t node) const;
  // The successors of every live node are the next live one: all there is to ask of a healed ring.
  bool IsOneOrderedRing() const;
  // Whether `node` follows a live successor past the live `other`.
  bool Skips(size_t node, size_t other) const;
  // Who takes itself for its only successor.
  bool ClaimsTheCircle(size_t node) const { return nodes_[node].live && nodes_[node].list == std::vector<size_t>{node}; }

 private:
  struct Node {
    bool live = false;
    std::vector<size_t> list;  // never empty once it runs
    std::optional<size_t> predecessor;
  };

  bool Between(size_t a, size_t x, size_t b) const;
  void Notify(size_t successor, size_t candidate);
  std::vector<size_t> CutAtPredecessor(size_t node, size_t head) const;

  const Rules rules_;
  std::vector<Node> nodes_;
};

}  // namespace sim
