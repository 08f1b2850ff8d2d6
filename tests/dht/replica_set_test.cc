// SPDX-License-Identifier: Apache-2.0
#include "dht/replica_set.h"

#include <gtest/gtest.h>

#include "tests/dht/oracle_ring.h"

namespace dht {
namespace {

class ReplicaSetTest : public testing::TestWithParam<int> {
 protected:
  ReplicaSetTest() {
    for (int i = 0; i < GetParam(); ++i) peers_.push_back(PeerOf(network_, keys::SigningKey::Generate(rng_)));
    for (const overlay::Peer& peer : peers_) ring_.Add(peer);
  }
  ReplicaSet Around(const overlay::Peer& peer, bool member = true) {
    ReplicaSet set(3);
    set.Update(ring_.Around(peer, member));
    return set;
  }

  support::SeededRng rng_{static_cast<uint64_t>(GetParam())};
  const overlay::Network network_ = overlay::Network::Local();
  std::vector<overlay::Peer> peers_;
  OracleRing ring_;
};

TEST_P(ReplicaSetTest, KnowsItsOwnResponsibilityForEveryPoint) {
  for (const overlay::Peer& self : peers_) {
    const ReplicaSet set = Around(self);
    for (int i = 0; i < 100; ++i) {
      const overlay::NodeId point = overlay::NodeId::Random(rng_);
      EXPECT_EQ(set.IsResponsible(point), ContainsProcess(ring_.Holders(point), self.node_key));
      if (set.IsResponsible(point)) {
        EXPECT_EQ(set.Responsible(point), ring_.Holders(point));
      }
    }
  }
}

TEST_P(ReplicaSetTest, OutsideRangeIsWhatItNeedNotHold) {
  const ReplicaSet set = Around(peers_.front());
  const std::optional<overlay::RingRange> outside = set.OutsideRange();
  EXPECT_EQ(outside.has_value(), peers_.size() > 3);
  for (int i = 0; i < 200 && outside; ++i) {
    const overlay::NodeId point = overlay::NodeId::Random(rng_);
    EXPECT_EQ(outside->Contains(point), !set.IsResponsible(point));
  }
}

TEST_P(ReplicaSetTest, ForeignRangesAreWhatItIsNotResponsibleFor) {
  for (const overlay::Peer& self : peers_) {
    const ReplicaSet set = Around(self);
    for (int i = 0; i < 100; ++i) {
      const overlay::NodeId point = overlay::NodeId::Random(rng_);
      int inside = 0;
      for (const overlay::RingRange& range : set.ForeignRanges()) inside += range.Contains(point) ? 1 : 0;
      EXPECT_EQ(inside, set.IsResponsible(point) ? 0 : 1);
    }
  }
  EXPECT_TRUE(Around(peers_.front(), /*member=*/false).ForeignRanges().empty());
}

TEST_P(ReplicaSetTest, RepairComparesEveryHeldPointWithAHolderOfIt) {
  for (const overlay::Peer& self : peers_) {
    const ReplicaSet set = Around(self);
    const std::vector<SharedRange> plan = set.RepairPlan();
    EXPECT_LE(plan.size(), 6u);
    for (int i = 0; i < 100; ++i) {
      const overlay::NodeId point = overlay::NodeId::Random(rng_);
      size_t compared = 0;
      for (const SharedRange& shared : plan) {
        if (!shared.range.Contains(point)) continue;
        ++compared;
        EXPECT_TRUE(set.IsResponsible(point));
        EXPECT_TRUE(ContainsProcess(ring_.Holders(point), shared.peer.node_key));
      }
      if (set.IsResponsible(point) && peers_.size() > 1) {
        EXPECT_GE(compared, 1u);
      }
    }
  }
}

TEST_P(ReplicaSetTest, HoldersMayHoldAndSoMayAJoinerButNoStranger) {
  const overlay::Peer joiner = PeerOf(network_, keys::SigningKey::Generate(rng_));
  OracleRing with_joiner = ring_;
  with_joiner.Add(joiner);
  for (const overlay::Peer& self : peers_) {
    const ReplicaSet set = Around(self);
    for (int i = 0; i < 60; ++i) {
      const overlay::NodeId point = overlay::NodeId::Random(rng_);
      if (!set.IsResponsible(point)) continue;
      for (const overlay::Peer& peer : peers_) {
        EXPECT_EQ(set.MayHold(peer, point), ContainsProcess(ring_.Holders(point), peer.node_key));
      }
      EXPECT_EQ(set.MayHold(joiner, point), ContainsProcess(with_joiner.Holders(point), joiner.node_key));
    }
  }
}

TEST_P(ReplicaSetTest, OwnedRangesPartTheCircle) {
  for (int i = 0; i < 50; ++i) {
    const overlay::NodeId point = overlay::NodeId::Random(rng_);
    int owners = 0;
    for (const overlay::Peer& self : peers_) {
      for (const overlay::RingRange& range : Around(self).OwnedRanges()) owners += range.Contains(point) ? 1 : 0;
    }
    EXPECT_EQ(owners, 1);
  }
}

TEST_P(ReplicaSetTest, ANonMemberAnswersForNoKeyButKnowsWhoDoes) {
  const ReplicaSet set = Around(peers_.front(), /*member=*/false);
  EXPECT_FALSE(set.IsMember());
  EXPECT_FALSE(set.IsResponsible(peers_.front().point));
  EXPECT_EQ(set.Responsible(peers_.front().point), ring_.Holders(peers_.front().point));
  EXPECT_TRUE(set.RepairPlan().empty());
}

TEST_P(ReplicaSetTest, ARangeMayBeHeldOnlyIfEveryPointOfItMay) {
  const ReplicaSet set = Around(peers_.front());
  for (const overlay::Peer& peer : ring_.Around(peers_.front(), true).successors) {
    const bool everything = peers_.size() <= 3;
    EXPECT_EQ(set.MayHoldAll(peer, {peer.point, peer.point}), everything);
    const overlay::NodeId inside = overlay::NodeId::Random(rng_);
    EXPECT_EQ(set.MayHoldAll(peer, {inside, inside}), everything);
    for (int i = 0; i < 100; ++i) {
      const overlay::RingRange range{overlay::NodeId::Random(rng_), overlay::NodeId::Random(rng_)};
      bool all = set.MayHold(peer, range.after.PlusOne()) && set.MayHold(peer, range.last);
      for (int k = 0; k < 20; ++k) {
        const overlay::NodeId point = overlay::NodeId::Random(rng_);
        if (range.Contains(point)) all = all && set.MayHold(peer, point);
      }
      if (set.MayHoldAll(peer, range)) {
        EXPECT_TRUE(all);
      }
    }
  }
}

TEST_P(ReplicaSetTest, ARelayIsNeverResponsibleAndMayHoldNothing) {
  const overlay::Peer relay = PeerOf(network_, keys::SigningKey::Generate(rng_), overlay::Role::kRelay);
  ring_.Add(relay);
  const ReplicaSet own = Around(relay);
  const ReplicaSet other = Around(peers_.front());
  for (int i = 0; i < 50; ++i) {
    const overlay::NodeId point = overlay::NodeId::Random(rng_);
    EXPECT_FALSE(own.IsResponsible(point));
    EXPECT_FALSE(other.MayHold(relay, point));
    EXPECT_FALSE(ContainsProcess(other.Responsible(point), relay.node_key));
  }
}

TEST_P(ReplicaSetTest, UpdateSaysWhetherAnythingChanged) {
  ReplicaSet set(3);
  EXPECT_TRUE(set.Update(ring_.Around(peers_.front(), false)));
  EXPECT_FALSE(set.Update(ring_.Around(peers_.front(), false)));
  EXPECT_TRUE(set.Update(ring_.Around(peers_.front(), true)));
}

INSTANTIATE_TEST_SUITE_P(RingSizes, ReplicaSetTest, testing::Values(1, 2, 3, 4, 5, 6, 8, 12, 20));

}  // namespace
}  // namespace dht
