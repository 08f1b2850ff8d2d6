// SPDX-License-Identifier: Apache-2.0
#include "overlay/successor_list.h"

#include <gtest/gtest.h>

#include "tests/overlay/test_peers.h"
#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

SuccessorList ListOf(int self, int first, const std::vector<Peer>& rest, int count, bool rest_open = false) {
  SuccessorList list;
  list.Assign(PeerAt(self), PeerAt(first), rest, rest_open, count);
  return list;
}

TEST(SuccessorList, TakesExactlyRInOrder) {
  const SuccessorList list = ListOf(10, 20, PeersAt({30, 40, 50}), 3);
  EXPECT_EQ(list.peers(), PeersAt({20, 30, 40}));
  EXPECT_FALSE(list.IsClosed(PeerAt(10), 3));
}

TEST(SuccessorList, IsCutWhereItsOwnerWouldAppear) {
  EXPECT_EQ(ListOf(10, 20, PeersAt({30, 10, 20}), 8).peers(), PeersAt({20, 30}));
  // The owner is not named, but what follows lies behind it.
  EXPECT_EQ(ListOf(10, 200, PeersAt({5, 20}), 8).peers(), PeersAt({200, 5}));
  EXPECT_TRUE(ListOf(10, 200, PeersAt({5, 20}), 8).IsClosed(PeerAt(10), 8));
}

TEST(SuccessorList, NeverNamesItsOwnerNorAnybodyTwiceWhateverItIsGiven) {
  support::SeededRng rng(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Peer> rest;
    for (uint64_t i = rng.Below(12); i > 0; --i) rest.push_back(PeerAt(static_cast<int>(rng.Below(16))));
    const int self = static_cast<int>(rng.Below(16));
    const SuccessorList list = ListOf(self, static_cast<int>(rng.Below(16)), rest, 4, rng.Below(2) == 0);
    ASSERT_LE(list.peers().size(), 4u);
    NodeId last = PointAt(self);
    for (const Peer& peer : list.peers()) {
      ASSERT_TRUE(InOpen(peer.point, last, PointAt(self)));
      last = peer.point;
    }
  }
}

TEST(SuccessorList, IsOpenAfterItsHeadFailedUntilItIsWrittenAnew) {
  SuccessorList list = ListOf(10, 20, PeersAt({30, 40}), 3);
  list.DropHead(PeerAt(10), 3);
  EXPECT_EQ(list.peers(), PeersAt({30, 40}));
  EXPECT_TRUE(list.is_open());
  EXPECT_FALSE(list.IsClosed(PeerAt(10), 3));
  list.Assign(PeerAt(10), PeerAt(30), PeersAt({40, 50}), /*rest_open=*/false, 3);
  EXPECT_FALSE(list.is_open());
}

TEST(SuccessorList, OfASmallRingStaysClosedWhenItsHeadFails) {
  SuccessorList list = ListOf(10, 20, PeersAt({30, 10}), 8);
  list.DropHead(PeerAt(10), 8);
  EXPECT_TRUE(list.IsClosed(PeerAt(10), 8));
}

TEST(SuccessorList, BuiltOnAnOpenOneIsOpenOnlyWhileItIsShort) {
  EXPECT_TRUE(ListOf(10, 20, PeersAt({30}), 3, /*rest_open=*/true).is_open());
  EXPECT_FALSE(ListOf(10, 20, PeersAt({30, 40}), 3, /*rest_open=*/true).is_open());
  EXPECT_FALSE(ListOf(10, 20, PeersAt({30, 10}), 8, /*rest_open=*/true).is_open());  // it came round
}

TEST(SuccessorList, CountsProcessesNotVirtualNodes) {
  Peer twin = PeerAt(25);
  twin.node_key = PeerAt(20).node_key;
  EXPECT_EQ(ListOf(10, 20, {twin, PeerAt(30), PeerAt(40)}, 2).peers(), (std::vector<Peer>{PeerAt(20), twin, PeerAt(30)}));
}

TEST(Chain, GoesBothWaysAndPicksStoringProcesses) {
  const Peer self = PeerAt(100);
  const std::vector<Peer> rest = {PeerAt(120, Role::kRelay), PeerAt(130), PeerAt(140)};
  EXPECT_EQ(StoringRun(self, PeerAt(110, Role::kRelay), rest, Direction::kClockwise, 8), PeersAt({130, 140}));
  EXPECT_EQ(Chain(self, PeerAt(110), rest, Direction::kClockwise, 2), PeersAt({110, 120}));
  EXPECT_EQ(Chain(self, PeerAt(90), PeersAt({80, 200, 110, 100, 90}), Direction::kCounterClockwise, 8),
            PeersAt({90, 80, 200, 110}));
}

}  // namespace
}  // namespace overlay
