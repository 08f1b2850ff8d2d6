// SPDX-License-Identifier: Apache-2.0
// overlay/node_id.h — points of the ring and arithmetic modulo 2^256. The one place that wraps around zero.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/rng.h"

namespace overlay {

// A point: the place of a virtual node, or any value of that space. Big-endian.
struct NodeId {
  std::array<uint8_t, 32> bytes{};

  bool operator==(const NodeId& other) const { return Word(0) == other.Word(0) && bytes == other.bytes; }
  // The first word nearly always decides.
  std::strong_ordering operator<=>(const NodeId& other) const {
    const uint64_t a = Word(0), b = other.Word(0);
    return a != b ? a <=> b : bytes <=> other.bytes;
  }
  // The i-th quarter as a number, the most significant one first.
  uint64_t Word(size_t i) const {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + 8 * i, 8);
    return BigEndian(word);
  }
  void SetWord(size_t i, uint64_t word) {
    word = BigEndian(word);
    std::memcpy(bytes.data() + 8 * i, &word, 8);
  }
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

 private:
  static uint64_t BigEndian(uint64_t word) { return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word; }
};

// How far it is clockwise from a to b; 0 if they are equal.
NodeId Distance(const NodeId& a, const NodeId& b);
// The point that far clockwise from a.
NodeId Plus(const NodeId& a, const NodeId& distance);
// The distance as a share of the circle, in [0, 1).
double DistanceShare(const NodeId& a, const NodeId& b);

// x strictly inside the clockwise arc from a to b; for a == b every x but a (Zave's between).
inline bool InOpen(const NodeId& x, const NodeId& a, const NodeId& b) {
  const std::strong_ordering order = a <=> b;
  if (order < 0) return a < x && x < b;
  if (order > 0) return a < x || x < b;
  return x != a;
}
// x in (a, b]; for a == b the whole circle.
inline bool InHalfOpen(const NodeId& x, const NodeId& a, const NodeId& b) { return x == b || a == b || InOpen(x, a, b); }

// The arc (after, last]; after == last is the whole circle.
struct RingRange {
  NodeId after, last;

  bool Contains(const NodeId& x) const { return InHalfOpen(x, after, last); }
  bool IsWholeCircle() const { return after == last; }
  bool operator==(const RingRange&) const = default;
};

}  // namespace overlay
