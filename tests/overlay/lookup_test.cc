// SPDX-License-Identifier: Apache-2.0
#include "overlay/lookup.h"

#include <gtest/gtest.h>

#include "tests/overlay/test_peers.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

NextHopReply Closer(std::initializer_list<int> peers) {
  NextHopReply reply;
  reply.member = true;
  reply.closer = PeersAt(peers);
  return reply;
}

NextHopReply Found(std::initializer_list<int> owners) {
  NextHopReply reply;
  reply.member = reply.found = true;
  reply.owners = PeersAt(owners);
  return reply;
}

TEST(Lookup, AsksTheClosestBeforeThePointUntilItsPredecessorAnswers) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({10, 50, 120}));
  EXPECT_EQ(lookup.Next(), PeerAt(50));
  lookup.OnAnswer(PeerAt(50), Closer({70, 90}));
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), Found({101, 110}));
  EXPECT_EQ(lookup.Next(), std::nullopt);
  ASSERT_TRUE(lookup.result().has_value());
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(101));
  EXPECT_EQ(result.predecessor, PeerAt(90));
  EXPECT_EQ(result.hops, 2);
}

TEST(Lookup, GoesOnWithTheNextBestWhenOneFailsOrIsNoMember) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({10, 50, 90}));
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), absl::UnavailableError(""));
  EXPECT_EQ(lookup.Next(), PeerAt(50));
  lookup.OnAnswer(PeerAt(50), NextHopReply{});
  EXPECT_EQ(lookup.Next(), PeerAt(10));
  lookup.OnAnswer(PeerAt(10), absl::UnavailableError(""));
  EXPECT_EQ(lookup.Next(), std::nullopt);
  EXPECT_STATUS(*lookup.result(), kUnavailable);
}

TEST(Lookup, TakesTheOwnersOfTheClosestThatAnsweredWhenAllBetweenItAndThePointFail) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({10, 50}));
  EXPECT_EQ(lookup.Next(), PeerAt(50));
  NextHopReply reply = Closer({90, 70});
  reply.owners = PeersAt({120, 130});
  lookup.OnAnswer(PeerAt(50), reply);
  for (const int dead : {90, 70}) {
    EXPECT_EQ(lookup.Next(), PeerAt(dead));
    lookup.OnAnswer(PeerAt(dead), absl::UnavailableError(""));
  }
  EXPECT_EQ(lookup.Next(), std::nullopt);  // 10 knows no better
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(120));
  EXPECT_EQ(result.predecessor, PeerAt(50));
}

TEST(Lookup, BelievesAnAnswerNearerToThePointOverAListThatReachesBeyondIt) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({50}));
  lookup.Next();
  NextHopReply reply = Closer({90});
  reply.owners = PeersAt({120});
  lookup.OnAnswer(PeerAt(50), reply);
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), Found({110}));  // it knows who joined last
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(110));
}

TEST(Lookup, OfAnAskerWhoseNearestAreDeadTakesItsOwnList) {
  Lookup lookup(PointAt(100), PointAt(80));
  NextHopReply own = Closer({90});
  own.owners = PeersAt({110});
  lookup.Begin(PeerAt(80), own);
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), absl::UnavailableError(""));
  EXPECT_EQ(lookup.Next(), std::nullopt);
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(110));
  EXPECT_EQ(result.hops, 0);
}

TEST(Lookup, TakesNoAnswerThatMakesNoProgress) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({50}));
  EXPECT_EQ(lookup.Next(), PeerAt(50));
  lookup.OnAnswer(PeerAt(50), Closer({40, 50, 100, 130}));  // behind the answerer, itself, at and beyond the point
  EXPECT_EQ(lookup.Next(), std::nullopt);
  EXPECT_STATUS(*lookup.result(), kUnavailable);
}

TEST(Lookup, TakesNoOwnerThatLiesBeforeThePoint) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({50}));
  lookup.Next();
  lookup.OnAnswer(PeerAt(50), Found({90}));
  EXPECT_FALSE(lookup.result().has_value());
  lookup.OnAnswer(PeerAt(50), Found({}));
  EXPECT_EQ(lookup.Next(), std::nullopt);
}

TEST(Lookup, AsksOthersAboutAnOwnerThatIsTooFarAway) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.DoubtBeyond(PointAt(20));
  lookup.AddCandidates(PeersAt({10, 50, 60, 70}));
  EXPECT_EQ(lookup.Next(), PeerAt(70));
  lookup.OnAnswer(PeerAt(70), Found({200}));  // 130 away: says that nobody is between
  EXPECT_FALSE(lookup.result().has_value());
  EXPECT_EQ(lookup.Next(), PeerAt(60));
  lookup.OnAnswer(PeerAt(60), Closer({90, 70}));
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), Found({101, 120}));
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(101));
  EXPECT_EQ(result.predecessor, PeerAt(90));
}

// A list that reaches far beyond the point, named as if everybody nearer had failed, is no better.
TEST(Lookup, AsksOthersAboutAListThatBeginsTooFarAway) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.DoubtBeyond(PointAt(20));
  lookup.AddCandidates(PeersAt({10, 50, 60, 70}));
  EXPECT_EQ(lookup.Next(), PeerAt(70));
  NextHopReply reply = Found({200});
  reply.found = false;
  lookup.OnAnswer(PeerAt(70), reply);
  EXPECT_EQ(lookup.Next(), PeerAt(60));
  EXPECT_FALSE(lookup.result().has_value());
  lookup.OnAnswer(PeerAt(60), Closer({90, 70}));
  EXPECT_EQ(lookup.Next(), PeerAt(90));
  lookup.OnAnswer(PeerAt(90), Found({101, 120}));
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(101));
}

TEST(Lookup, BelievesTheClosestThatIsDoubtedIfNobodyKnowsBetter) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.DoubtBeyond(PointAt(20));
  lookup.AddCandidates(PeersAt({10, 20, 30, 40, 50, 70}));
  lookup.Next();
  lookup.OnAnswer(PeerAt(70), Found({200}));
  for (const int point : {50, 40, 30}) {
    EXPECT_EQ(lookup.Next(), PeerAt(point));
    lookup.OnAnswer(PeerAt(point), Found({210}));
  }
  EXPECT_EQ(lookup.Next(), std::nullopt);
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.owner, PeerAt(200));
  EXPECT_EQ(result.hops, 4);
}

TEST(Lookup, TakesOwnersOnlyAsFarAsTheyAreInOrder) {
  Lookup lookup(PointAt(100), PointAt(1));
  lookup.AddCandidates(PeersAt({90}));
  lookup.Next();
  lookup.OnAnswer(PeerAt(90), Found({110, 130, 120, 140}));
  ASSERT_OK_AND_ASSIGN(const LookupResult result, *lookup.result());
  EXPECT_EQ(result.successors, PeersAt({110, 130}));
}

TEST(Lookup, OfAJoinerNeverAsksItselfAndFindsWhoIsBeforeIt) {
  Lookup lookup(PointAt(100), PointAt(100));
  lookup.AddCandidates(PeersAt({100, 200}));
  EXPECT_EQ(lookup.Next(), PeerAt(200));
  lookup.OnAnswer(PeerAt(200), Closer({100, 90}));
  EXPECT_EQ(lookup.Next(), PeerAt(90));
}

TEST(Lookup, EndsWhateverHostilePeersAnswer) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    support::SeededRng rng(seed);
    Lookup lookup(NodeId::Random(rng), NodeId::Random(rng));
    lookup.DoubtBeyond(PointAt(1));
    lookup.AddCandidates({PeerAt(1)});
    int asked = 0;
    while (const std::optional<Peer> next = lookup.Next()) {
      ++asked;
      NextHopReply reply;
      reply.member = true;
      for (int i = 0; i < 64; ++i) {
        Peer liar = PeerAt(1);
        liar.point = NodeId::Random(rng);
        reply.closer.push_back(liar);
      }
      reply.found = rng.Below(8) == 0;
      if (reply.found) reply.owners = {reply.closer.back()};
      lookup.OnAnswer(*next, reply);
    }
    ASSERT_LE(asked, kLookupAsksMax);
    ASSERT_TRUE(lookup.result().has_value());
  }
}

}  // namespace
}  // namespace overlay
