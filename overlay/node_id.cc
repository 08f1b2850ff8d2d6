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
  uint64_t borrow = 0;
  for (size_t i = 4; i-- > 0;) {
    const uint64_t from = b.Word(i), less = a.Word(i);
    const uint64_t word = from - less - borrow;
    borrow = from < less || (from == less && borrow != 0) ? 1 : 0;
    difference.SetWord(i, word);
  }
  return difference;
}

NodeId Plus(const NodeId& a, const NodeId& distance) {
  NodeId sum;
  uint64_t carry = 0;
  for (size_t i = 4; i-- > 0;) {
    const uint64_t word = a.Word(i) + distance.Word(i) + carry;
    carry = word < a.Word(i) || (carry != 0 && word == a.Word(i)) ? 1 : 0;
    sum.SetWord(i, word);
  }
  return sum;
}

double DistanceShare(const NodeId& a, const NodeId& b) {
  const NodeId distance = Distance(a, b);
  double share = 0;
  for (size_t i = 8; i-- > 0;) share = (share + distance.bytes[i]) / 256;
  return share;
}

}  // namespace overlay
