// SPDX-License-Identifier: Apache-2.0
#include "overlay/neighbourhood.h"

#include <gtest/gtest.h>

#include "tests/overlay/test_peers.h"

namespace overlay {
namespace {

Neighbourhood Around(int self, std::initializer_list<int> successors, std::initializer_list<int> predecessors) {
  return {PeerAt(self), true, PeersAt(successors), PeersAt(predecessors)};
}

TEST(Neighbourhood, OfALargeRingTellsWhatLiesNear) {
  const Neighbourhood near = Around(100, {110, 120, 130, 140}, {90, 80, 70, 60});
  EXPECT_EQ(ResponsibleFor(PointAt(100), near, 3), PeersAt({100, 110, 120}));
  EXPECT_EQ(ResponsibleFor(PointAt(61), near, 3), PeersAt({70, 80, 90}));
  EXPECT_EQ(ResponsibleFor(PointAt(120), near, 3), PeersAt({120, 130, 140}));
  EXPECT_TRUE(ResponsibleFor(PointAt(121), near, 3).empty());  // its third holder is not known here
  EXPECT_TRUE(ResponsibleFor(PointAt(60), near, 3).empty());
  EXPECT_TRUE(ResponsibleFor(PointAt(200), near, 3).empty());
  EXPECT_EQ(HeldRange(near, 3), (RingRange{PointAt(70), PointAt(100)}));
}

TEST(Neighbourhood, OfASmallRingTellsEverything) {
  const Neighbourhood two = Around(100, {200}, {200});
  EXPECT_EQ(ResponsibleFor(PointAt(150), two, 3), PeersAt({200, 100}));
  EXPECT_TRUE(HeldRange(two, 3).IsWholeCircle());
  const Neighbourhood six = Around(100, {120, 140, 160, 180}, {20, 180, 160, 140});
  EXPECT_EQ(ResponsibleFor(PointAt(170), six, 3), PeersAt({180, 20, 100}));
}

TEST(Neighbourhood, AloneHoldsAll) {
  const Neighbourhood alone = Around(100, {}, {});
  EXPECT_EQ(ResponsibleFor(PointAt(7), alone, 3), PeersAt({100}));
  EXPECT_TRUE(HeldRange(alone, 3).IsWholeCircle());
}

TEST(Neighbourhood, OfARelayNamesOthersOnly) {
  Neighbourhood near = Around(100, {110, 120, 130, 140}, {90, 80, 70, 60});
  near.self.role = Role::kRelay;
  EXPECT_EQ(ResponsibleFor(PointAt(100), near, 3), PeersAt({110, 120, 130}));
}

TEST(Neighbourhood, OfANonMemberTellsNothing) {
  Neighbourhood gone = Around(100, {200}, {200});
  gone.member = false;
  EXPECT_TRUE(ResponsibleFor(PointAt(150), gone, 3).empty());
}

}  // namespace
}  // namespace overlay
