// SPDX-License-Identifier: Apache-2.0
#include "overlay/finger_table.h"

#include <gtest/gtest.h>

#include "tests/overlay/test_peers.h"

namespace overlay {
namespace {

TEST(FingerTable, AsksForExponentsTheListDoesNotCoverAndStartsAgain) {
  FingerTable fingers;
  const NodeId self = PointAt(0), last = PointAt(40);  // 2^253 is point 32: covered
  EXPECT_EQ(fingers.NextExponent(self, last), 255);
  EXPECT_FALSE(fingers.TakeRoundDone());
  EXPECT_EQ(fingers.NextExponent(self, last), 254);
  EXPECT_EQ(fingers.NextExponent(self, last), 255);
  EXPECT_TRUE(fingers.TakeRoundDone());
  EXPECT_FALSE(fingers.TakeRoundDone());
}

TEST(FingerTable, HasNothingToAskWhenTheListReachesAcrossHalfTheCircle) {
  FingerTable fingers;
  EXPECT_EQ(fingers.NextExponent(PointAt(0), PointAt(130)), std::nullopt);
}

TEST(FingerTable, RefusesOwnersThatCannotBe) {
  FingerTable fingers;
  EXPECT_FALSE(fingers.Set(255, PeerAt(0), PeerAt(0)));
  EXPECT_FALSE(fingers.Set(255, PeerAt(0), PeerAt(100)));  // before its ideal point 128
  EXPECT_TRUE(fingers.Set(255, PeerAt(0), PeerAt(130)));
  EXPECT_FALSE(fingers.Set(255, PeerAt(0), PeerAt(130)));  // no news
  EXPECT_TRUE(fingers.Set(255, PeerAt(0), PeerAt(0)));     // nobody there any more
  EXPECT_TRUE(fingers.entries().empty());
}

TEST(FingerTable, PublishesEachPeerOnceWithItsGreatestExponent) {
  FingerTable fingers;
  fingers.Set(255, PeerAt(0), PeerAt(200));
  fingers.Set(254, PeerAt(0), PeerAt(100));
  fingers.Set(253, PeerAt(0), PeerAt(100));
  const std::vector<Finger> distinct = fingers.Distinct();
  ASSERT_EQ(distinct.size(), 2u);
  EXPECT_EQ(distinct[0].exponent, 254);
  EXPECT_EQ(distinct[0].peer, PeerAt(100));
  EXPECT_EQ(distinct[1].exponent, 255);
}

TEST(FingerTable, LosesTheDeadAndWhatTheListCovers) {
  FingerTable fingers;
  fingers.Set(255, PeerAt(0), PeerAt(200));
  fingers.Set(254, PeerAt(0), PeerAt(100));
  EXPECT_TRUE(fingers.Remove(PointAt(200)));
  EXPECT_FALSE(fingers.Remove(PointAt(200)));
  fingers.Trim(PointAt(0), PointAt(70));
  EXPECT_TRUE(fingers.entries().empty());
}

}  // namespace
}  // namespace overlay
