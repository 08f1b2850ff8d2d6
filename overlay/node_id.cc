// SPDX-License-Identifier: Apache-2.0
#include "overlay/node_id.h"

#include <cstring>

#include "base/check.h"

namespace overlay {

std::optional<NodeId> NodeId::FromHex(std::string_view hex) {
  const std::optional<base::Bytes> bytes = base::FromHex(hex);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  NodeId id;
  std::memcpy(id.bytes.data(), bytes->data(), 32);
  return id;
}

NodeId NodeId::PlusPowerOfTwo(int exponent) const {
  CHECK(exponent >= 0 && exponent < 256);
  NodeId sum = *this;
  unsigned carry = 1u << (exponent % 8);
  for (int i = 31 - exponent / 8; i >= 0 && carry != 0; --i) {
    const unsigned value = sum.bytes[static_cast<size_t>(i)] + carry;
    sum.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(value);
    carry = value >> 8;
  }
  return sum;
}

NodeId Distance(const NodeId& a, const NodeId& b) {
  NodeId difference;
  int borrow = 0;
  for (size_t i = 32; i-- > 0;) {
    const int value = b.bytes[i] - a.bytes[i] - borrow;
    difference.bytes[i] = static_cast<uint8_t>(value);
    borrow = value < 0;
  }
  return difference;
}

double DistanceShare(const NodeId& a, const NodeId& b) {
  const NodeId distance = Distance(a, b);
  double share = 0;
  for (size_t i = 8; i-- > 0;) share = (share + distance.bytes[i]) / 256;
  return share;
}

bool InOpen(const NodeId& x, const NodeId& a, const NodeId& b) {
  if (a < b) return a < x && x < b;
  if (b < a) return a < x || x < b;
  return x != a;
}

bool InHalfOpen(const NodeId& x, const NodeId& a, const NodeId& b) { return x == b || a == b || InOpen(x, a, b); }

}  // namespace overlay
