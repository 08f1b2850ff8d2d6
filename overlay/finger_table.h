// SPDX-License-Identifier: Apache-2.0
// overlay/finger_table.h — the long pointers of a virtual node: the owner of point + 2^k for every k the list does not cover.
//
// Source: Stoica et al., "Chord", ToN 2003, section IV. Only hints for routing: correctness never depends on them.
// One is refreshed at a time, from the farthest exponent down to the first that the successor list covers, then again.
// A dead finger is dropped: what was asked of it falls to the next one, until a lookup fills the place.
#pragma once

#include <optional>
#include <vector>

#include "overlay/routing_table.h"

namespace overlay {

class FingerTable {
 public:
  // The exponent to look up next; nothing if the list up to `last` covers all. `last` is the end of the successor list.
  std::optional<int> NextExponent(const NodeId& self, const NodeId& last);
  // True once after every exponent has had its turn.
  bool TakeRoundDone();

  // True if that changed the table. An owner that is not between the exponent's ideal point and us again is none.
  bool Set(int exponent, const Peer& self, const Peer& owner);
  bool Remove(const NodeId& point);
  // Drops what the list covers by now.
  void Trim(const NodeId& self, const NodeId& last);
  void Clear() { entries_.clear(); }

  // One entry per exponent, exponents rising; neighbouring exponents may name one peer.
  const std::vector<Finger>& entries() const { return entries_; }
  // Distinct peers, each with its greatest exponent: what is published.
  std::vector<Finger> Distinct() const;

 private:
  std::vector<Finger> entries_;
  int cursor_ = 255;
  bool round_done_ = false;
};

}  // namespace overlay
