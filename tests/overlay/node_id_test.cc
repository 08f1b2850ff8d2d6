// SPDX-License-Identifier: Apache-2.0
#include "overlay/node_id.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

// A toy ring of 256 points inside the real one: the highest byte is the place.
NodeId Toy(int place) {
  NodeId id;
  id.bytes[0] = static_cast<uint8_t>(place);
  return id;
}

// x is met when walking from a (excluded) to b (included); a == b is the whole circle.
bool MetOnTheWay(int x, int a, int b) {
  for (int place = (a + 1) % 256;; place = (place + 1) % 256) {
    if (place == x) return true;
    if (place == b) return false;
  }
}

TEST(RingInterval, AgreesWithWalkingTheRing) {
  for (int a = 0; a < 256; a += 3) {
    for (int b = 0; b < 256; b += 5) {
      for (int x = 0; x < 256; ++x) {
        const bool met = MetOnTheWay(x, a, b);
        ASSERT_EQ(InHalfOpen(Toy(x), Toy(a), Toy(b)), met) << x << " in (" << a << "," << b << "]";
        ASSERT_EQ(InOpen(Toy(x), Toy(a), Toy(b)), met && x != b && x != a) << x << " in (" << a << "," << b << ")";
      }
    }
  }
}

TEST(RingInterval, OfEqualEndsIsEveryOtherPoint) {
  EXPECT_TRUE(InOpen(Toy(1), Toy(7), Toy(7)));
  EXPECT_FALSE(InOpen(Toy(7), Toy(7), Toy(7)));
  EXPECT_TRUE(InHalfOpen(Toy(7), Toy(7), Toy(7)));
}

TEST(NodeId, AddsAndMeasuresModuloTheCircle) {
  support::SeededRng rng(1);
  for (int round = 0; round < 1000; ++round) {
    const NodeId id = NodeId::Random(rng);
    const int exponent = static_cast<int>(rng.Below(256));
    NodeId step;
    step.bytes[31 - static_cast<size_t>(exponent) / 8] = static_cast<uint8_t>(1 << exponent % 8);
    EXPECT_EQ(Distance(id, id.PlusPowerOfTwo(exponent)), step);
    const NodeId other = NodeId::Random(rng);
    EXPECT_EQ(Plus(id, Distance(id, other)), other);
    EXPECT_EQ(Plus(other, step), other.PlusPowerOfTwo(exponent));
    EXPECT_NEAR(DistanceShare(id, other) + DistanceShare(other, id), 1.0, 1e-9);
  }
  NodeId last;
  last.bytes.fill(0xff);
  EXPECT_EQ(last.PlusOne(), NodeId{});
}

TEST(NodeId, ReadsItsOwnHexAndNothingElse) {
  support::SeededRng rng(2);
  const NodeId id = NodeId::Random(rng);
  EXPECT_EQ(NodeId::FromHex(id.ToHex()), id);
  EXPECT_FALSE(NodeId::FromHex(id.ToHex().substr(1)));
  EXPECT_FALSE(NodeId::FromHex(id.ToHex() + "00"));
  EXPECT_FALSE(NodeId::FromHex(std::string(64, 'g')));
}

}  // namespace
}  // namespace overlay
