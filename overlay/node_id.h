// SPDX-License-Identifier: Apache-2.0
// overlay/node_id.h — points of the ring and arithmetic modulo 2^256. The one place that wraps around zero.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/rng.h"

namespace overlay {

// A point: the place of a virtual node, or any value of that space. Big-endian.
struct NodeId {
  std::array<uint8_t, 32> bytes{};

  auto operator<=>(const NodeId&) const = default;
  base::ByteView view() const { return bytes; }
  std::string ToHex() const { return base::ToHex(bytes); }
  static std::optional<NodeId> FromHex(std::string_view hex);
  static NodeId Random(base::Rng& rng) { return {rng.Array<32>()}; }

  NodeId PlusPowerOfTwo(int exponent) const;  // 0 <= exponent < 256
  NodeId PlusOne() const { return PlusPowerOfTwo(0); }

  template <typename H>
  friend H AbslHashValue(H h, const NodeId& id) {
    return H::combine(std::move(h), id.bytes);
  }
};

// How far it is clockwise from a to b; 0 if they are equal.
NodeId Distance(const NodeId& a, const NodeId& b);
// The same as a share of the circle, in [0, 1).
double DistanceShare(const NodeId& a, const NodeId& b);

// x strictly inside the clockwise arc from a to b; for a == b every x but a (Zave's between).
bool InOpen(const NodeId& x, const NodeId& a, const NodeId& b);
// x in (a, b]; for a == b the whole circle.
bool InHalfOpen(const NodeId& x, const NodeId& a, const NodeId& b);

// The arc (after, last]; after == last is the whole circle.
struct RingRange {
  NodeId after, last;

  bool Contains(const NodeId& x) const { return InHalfOpen(x, after, last); }
  bool IsWholeCircle() const { return after == last; }
  bool operator==(const RingRange&) const = default;
};

}  // namespace overlay
