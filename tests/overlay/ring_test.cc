// SPDX-License-Identifier: Apache-2.0
// One Ring core and a script: what it asks, and what it makes of the answers. Whole rings are in tests/sim.
#include "overlay/ring.h"

#include <gtest/gtest.h>

#include "overlay/routing_table.h"
#include "tests/overlay/ring_fixture.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

TEST_F(RingTest, ACreatorIsAMemberAloneAndOwnsTheCircle) {
  Take(ring_.Create(now_));
  EXPECT_TRUE(ring_.IsMember());
  EXPECT_TRUE(ring_.successors().empty());
  EXPECT_EQ(ring_.SizeEstimate(), std::make_pair(1.0, true));
  Take(ring_.StartLookup(1, PointAt(7), now_));
  ASSERT_EQ(lookups_.size(), 1u);
  ASSERT_OK(lookups_[0]);
  EXPECT_EQ(lookups_[0]->owner, PeerAt(100));
  EXPECT_EQ(lookups_[0]->hops, 0);
}

TEST_F(RingTest, TellsTheOldPredecessorToLookWhenSomebodyJoinedBetween) {
  JoinBetween90And110();
  Request(RectifyRequest{PeerAt(80), {}, {}, false});
  Answer<HealthRequest>(90, RingReply(HealthReply{true}));  // behind the predecessor: nothing is news
  EXPECT_FALSE(Asked<LeavingRequest>(90));
  Request(RectifyRequest{PeerAt(95), {}, {}, false});
  EXPECT_EQ(ring_.predecessor(), PeerAt(95));
  ASSERT_TRUE(Asked<LeavingRequest>(90));
  EXPECT_EQ(std::get<LeavingRequest>(Find<LeavingRequest>(90)->request).leaver, PeerAt(100));
}

TEST_F(RingTest, NamesWhoComesAfterThePointWhenItsListReachesBeyondIt) {
  JoinBetween90And110();
  const auto within = std::get<NextHopReply>(Request(NextHopRequest{PointAt(125)}));
  EXPECT_FALSE(within.found);
  EXPECT_EQ(within.closer.front(), PeerAt(120));
  EXPECT_EQ(within.owners.front(), PeerAt(130));
  EXPECT_EQ(within.storing.front(), PeerAt(130));
  EXPECT_TRUE(std::get<NextHopReply>(Request(NextHopRequest{PointAt(200)})).owners.empty());
}

TEST_F(RingTest, NamesAProcessBeyondThePointAlsoIfItStandsBeforeItToo) {
  JoinBetween90And110();
  Peer second_of_110 = PeerAt(125);
  second_of_110.node_key = PeerAt(110).node_key;
  StateReply state = Member(100, {120, 130, 140});
  state.successors.insert(state.successors.begin() + 1, second_of_110);
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, state);
  const auto beyond = std::get<NextHopReply>(Request(NextHopRequest{PointAt(115)}));
  EXPECT_EQ(beyond.storing, (std::vector<Peer>{PeerAt(120), second_of_110, PeerAt(130), PeerAt(140)}));
}

TEST_F(RingTest, AJoinerTakesThePredecessorsWholeListAfterItsRangeIsThere) {
  Take(ring_.Join({PeerAt(90)}, now_));
  EXPECT_FALSE(StateNow().member);
  NextHopReply found;
  found.member = found.found = true;
  found.owners = PeersAt({110, 120, 130});
  Answer<NextHopRequest>(90, found);
  Answer<NextHopRequest>(90, found);
  Answer<StateRequest>(90, Member(80, {110, 120, 130}));
  ASSERT_EQ(prepared_.size(), 1u);
  EXPECT_TRUE(prepared_[0].member);
  EXPECT_EQ(prepared_[0].successors.front(), PeerAt(110));
  EXPECT_FALSE(ring_.IsMember());
  // Meanwhile somebody joined behind us: the range is another one, and is fetched again.
  Take(ring_.OnRangeReady(now_));
  StateReply changed = Member(80, {110, 120, 130});
  changed.storing_successors = PeersAt({105, 110, 120});
  Answer<StateRequest>(90, changed);
  ASSERT_EQ(prepared_.size(), 2u);
  EXPECT_FALSE(ring_.IsMember());
  Take(ring_.OnRangeReady(now_));
  Answer<StateRequest>(90, changed);
  EXPECT_TRUE(ring_.IsMember());
  EXPECT_EQ(ring_.successors(), PeersAt({110, 120, 130}));
  EXPECT_EQ(ring_.predecessor(), PeerAt(90));
  EXPECT_TRUE(Asked<StateRequest>(110));  // stabilises at once
}

TEST_F(RingTest, AJoinerDoesNotPushInWhereTheContactKnowsSomebodyNearer) {
  Take(ring_.Join({PeerAt(90)}, now_));
  NextHopReply found;
  found.member = found.found = true;
  found.owners = PeersAt({110});
  Answer<NextHopRequest>(90, found);
  Answer<NextHopRequest>(90, found);
  Answer<StateRequest>(90, Member(80, {95, 110, 120}));  // 95 joined since
  EXPECT_TRUE(prepared_.empty());
  EXPECT_FALSE(ring_.IsMember());
  EXPECT_LT(ring_.NextTick(), now_ + absl::Seconds(1));  // looks again soon
}

TEST_F(RingTest, ADeadHeadIsDroppedAndTheNextOneAskedInTheSameStep) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, absl::UnavailableError(""));
  ASSERT_TRUE(Asked<StateRequest>(120));
  EXPECT_TRUE(StateNow().pending);
  Answer<StateRequest>(120, Member(110, {130, 140, 150}));
  EXPECT_EQ(ring_.successors(), PeersAt({120, 130, 140}));
  EXPECT_FALSE(Asked<StateRequest>(110));  // 120 still names the dead one as predecessor: not adopted, not even asked
  ASSERT_TRUE(Asked<RectifyRequest>(120));
}

TEST_F(RingTest, WhoAnswersButIsNoMemberCountsAsDead) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, StateReply{});
  EXPECT_EQ(ring_.successors().front(), PeerAt(120));
}

TEST_F(RingTest, ANodeWhoseWholeListIsDeadIsDetachedNeverItsOwnSuccessor) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  for (const int dead : {110, 120, 130}) {
    ASSERT_NO_FATAL_FAILURE(Answer<StateRequest>(dead, absl::UnavailableError("")));
  }
  EXPECT_EQ(ring_.state(), RingState::kDetached);
  EXPECT_TRUE(ring_.successors().empty());
  EXPECT_FALSE(ring_.neighbourhood().member);
  EXPECT_TRUE(StateNow().detached);
  EXPECT_FALSE(std::get<HealthReply>(Request(HealthRequest{})).serving);
  EXPECT_FALSE(std::get<NextHopReply>(Request(NextHopRequest{PointAt(100)})).member);
  Take(ring_.StartLookup(1, PointAt(7), now_));
  EXPECT_STATUS(lookups_.at(0), kUnavailable);
  // It looks for a way in where it knows one.
  Pass(absl::Milliseconds(1));
  EXPECT_TRUE(Asked<NextHopRequest>(90));
}

TEST_F(RingTest, ANearerSuccessorIsAdoptedOnlyAfterItAnswered) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, Member(105, {120, 130, 140}));
  EXPECT_EQ(ring_.successors().front(), PeerAt(110));
  ASSERT_TRUE(Asked<StateRequest>(105));
  EXPECT_TRUE(StateNow().pending);
  Answer<StateRequest>(105, Member(90, {110, 120, 130}));
  EXPECT_EQ(ring_.successors(), PeersAt({105, 110, 120}));
  ASSERT_TRUE(Asked<RectifyRequest>(105));
}

TEST_F(RingTest, ADeadPredecessorOfTheSuccessorIsNotAdopted) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, Member(105, {120, 130, 140}));
  Answer<StateRequest>(105, absl::UnavailableError(""));
  EXPECT_EQ(ring_.successors(), PeersAt({110, 120, 130}));
  EXPECT_TRUE(Asked<RectifyRequest>(110));
}

TEST_F(RingTest, WhileAStepIsUnderWayItAnswersPendingButLivenessAtOnce) {
  JoinBetween90And110();
  EXPECT_FALSE(StateNow().pending);
  Pass(absl::Seconds(1));
  ASSERT_TRUE(Asked<StateRequest>(110));
  EXPECT_TRUE(StateNow().pending);
  EXPECT_TRUE(std::get<HealthReply>(Request(HealthRequest{})).serving);
  // A rectify is taken, and done when the step is over.
  Request(RectifyRequest{PeerAt(95), {}, {}});
  EXPECT_EQ(ring_.predecessor(), PeerAt(90));
  Answer<StateRequest>(110, Member(100, {120, 130, 140}));
  EXPECT_EQ(ring_.predecessor(), PeerAt(95));
}

TEST_F(RingTest, PendingMeansAliveAndIsAskedAgainSoon) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  for (int i = 0; i < 20; ++i) {
    ASSERT_NO_FATAL_FAILURE(Answer<StateRequest>(110, Pending()));
    EXPECT_EQ(ring_.successors(), PeersAt({110, 120, 130}));
    EXPECT_FALSE(StateNow().pending);  // in between others may read
    Pass(absl::Milliseconds(50));
  }
  // Who says nothing else for ever is as good as dead.
  for (int i = 0; i < 10'000 && Asked<StateRequest>(110); ++i) {
    Answer<StateRequest>(110, Pending());
    Pass(absl::Milliseconds(50));
  }
  EXPECT_EQ(ring_.successors().front(), PeerAt(120));
}

TEST_F(RingTest, RectifyAdoptsTheNearerAndTheFartherOnlyIfTheOldOneIsDead) {
  JoinBetween90And110();
  Request(RectifyRequest{PeerAt(95), PeersAt({90, 80}), PeersAt({90, 80})});
  EXPECT_EQ(ring_.predecessor(), PeerAt(95));
  EXPECT_EQ(ring_.FarPredecessors(), PeersAt({95, 90, 80}));
  EXPECT_EQ(ring_.neighbourhood().predecessors, PeersAt({95, 90, 80}));
  Request(RectifyRequest{PeerAt(85), {}, {}});
  ASSERT_TRUE(Asked<HealthRequest>(95));
  Answer<HealthRequest>(95, HealthReply{true});
  EXPECT_EQ(ring_.predecessor(), PeerAt(95));
  Request(RectifyRequest{PeerAt(85), {}, {}});
  Answer<HealthRequest>(95, HealthReply{false});  // alive, but no member
  EXPECT_EQ(ring_.predecessor(), PeerAt(85));
}

TEST_F(RingTest, ASeekerIsNobodysPredecessor) {
  JoinBetween90And110();
  Request(RectifyRequest{PeerAt(95), {}, {}, /*seeking=*/true});
  EXPECT_EQ(ring_.predecessor(), PeerAt(90));
}

TEST_F(RingTest, ManyRectifiesAreQueuedUpToABound) {
  JoinBetween90And110();
  Pass(absl::Milliseconds(500));
  for (int i = 1; i < 80; ++i) Request(RectifyRequest{PeerAt(i), {}, {}});
  Answer<StateRequest>(110, Member(100, {120, 130, 140}));
  size_t asked = 0;
  while (Asked<HealthRequest>(90)) {
    Answer<HealthRequest>(90, HealthReply{true});
    ++asked;
  }
  EXPECT_LE(asked, kRectifyQueueMax);
}

TEST_F(RingTest, RoundsComeAtOnceWhileThingsChangeAndSlowlyWhenQuiet) {
  JoinBetween90And110();
  int rounds = 0;
  for (int i = 0; i < 600; ++i) {
    Pass(absl::Milliseconds(100));
    if (!Asked<StateRequest>(110)) continue;
    ++rounds;
    Answer<StateRequest>(110, Member(100, {120, 130, 140}));
    EXPECT_TRUE(Asked<RectifyRequest>(110));  // every round
    ForgetCalls();
  }
  EXPECT_GE(rounds, 11);  // a minute at five seconds
  EXPECT_LE(rounds, 20);
  Request(LeavingRequest{PeerAt(120)});  // a hint: looks at once, believes nothing
  EXPECT_EQ(ring_.successors(), PeersAt({110, 120, 130}));
  Pass(absl::Milliseconds(50));
  EXPECT_TRUE(Asked<StateRequest>(110));
}

TEST_F(RingTest, ASilentNeighbourIsAskedForASignOfLifeOftenWhileThingsChangeAndSeldomWhenQuiet) {
  JoinBetween90And110();
  int asked_90 = 0, asked_110 = 0;
  const auto answer = [&](int polls) {
    for (int i = 0; i < polls; ++i) {
      Pass(absl::Milliseconds(50));
      if (Asked<StateRequest>(110)) Answer<StateRequest>(110, Member(100, {120, 130, 140}));
      for (const int peer : {90, 110}) {
        if (!Asked<HealthRequest>(peer)) continue;
        ++(peer == 90 ? asked_90 : asked_110);
        Answer<HealthRequest>(peer, HealthReply{true});
      }
    }
  };
  answer(20 * 60);  // the predecessor rectifies nothing; the successor is heard of in every round
  EXPECT_GE(asked_90, 11);
  EXPECT_LE(asked_90, 20);
  EXPECT_LE(asked_110, asked_90);
  for (int i = asked_90 = 0; i < 60; ++i) {
    Request(LeavingRequest{PeerAt(120)});
    answer(20);
  }
  EXPECT_GE(asked_90, 50);
  while (!Asked<HealthRequest>(110)) Pass(absl::Milliseconds(50));
  Answer<HealthRequest>(110, absl::UnavailableError(""));
  // Only an unanswered step may drop it, and that comes at once.
  EXPECT_EQ(ring_.successors().front(), PeerAt(110));
  Answer<StateRequest>(110, absl::UnavailableError(""));
  EXPECT_EQ(ring_.successors().front(), PeerAt(120));
}

TEST_F(RingTest, ADoubtMakesItLookAtOnceAndBelievesNothing) {
  JoinBetween90And110();
  Pass(absl::Seconds(3));
  ForgetCalls();
  Take(ring_.OnDoubt(PointAt(90), now_));
  Take(ring_.OnDoubt(PointAt(55), now_));  // nobody's business
  Pass(absl::Milliseconds(50));
  EXPECT_TRUE(Asked<HealthRequest>(90));
  EXPECT_EQ(ring_.predecessor(), PeerAt(90));
  EXPECT_FALSE(Asked<HealthRequest>(55));
}

TEST_F(RingTest, ADoubtedSuccessorIsDroppedOnlyIfItDoesNotAnswer) {
  JoinBetween90And110();
  Answer110UntilQuiet();
  Take(ring_.OnDoubt(PointAt(110), now_));
  EXPECT_EQ(ring_.successors().front(), PeerAt(110));
  Pass(absl::Milliseconds(50));
  Answer<StateRequest>(110, Member(100, {120, 130, 140}));
  EXPECT_EQ(ring_.successors().front(), PeerAt(110));
  Take(ring_.OnDoubt(PointAt(110), now_));
  Pass(absl::Milliseconds(50));
  Answer<StateRequest>(110, absl::UnavailableError(""));
  EXPECT_EQ(ring_.successors().front(), PeerAt(120));
}

TEST_F(RingTest, HostileListsNeverBringItIntoItsOwn) {
  JoinBetween90And110();
  Pass(absl::Seconds(1));
  Answer<StateRequest>(110, Member(110, {100, 110, 50, 100, 250, 3}));
  EXPECT_EQ(ring_.successors(), PeersAt({110}));
}

TEST_F(RingTest, TheFirstWhoJoinsACreatorBecomesItsSuccessorOnceItAnswered) {
  Take(ring_.Create(now_));
  Pass(absl::Milliseconds(1));
  Request(RectifyRequest{PeerAt(200), {}, {}});
  EXPECT_TRUE(ring_.successors().empty());
  ASSERT_TRUE(Asked<StateRequest>(200));
  Answer<StateRequest>(200, Member(100, {100}));
  EXPECT_EQ(ring_.successors(), PeersAt({200}));
  EXPECT_EQ(ring_.predecessor(), PeerAt(200));
}

TEST_F(RingTest, AMemberAloneThatMeetsAnotherRingJoinsIt) {
  Take(ring_.Create(now_));
  Request(RectifyRequest{PeerAt(200), {}, {}});
  Answer<StateRequest>(200, Member(90, {50, 90}));
  EXPECT_FALSE(ring_.IsMember());
  Pass(absl::Milliseconds(1));
  EXPECT_TRUE(Asked<NextHopRequest>(200));
}

TEST_F(RingTest, LookupsFailoverAndAreTriedAgainAfterAPause) {
  JoinBetween90And110();
  Take(ring_.StartLookup(7, PointAt(250), now_));
  ASSERT_TRUE(Asked<NextHopRequest>(140));
  Answer<NextHopRequest>(140, absl::UnavailableError(""));
  ASSERT_TRUE(Asked<NextHopRequest>(130));
  NextHopReply found;
  found.member = found.found = true;
  found.owners = {PeerAt(5)};
  Answer<NextHopRequest>(130, found);
  ASSERT_EQ(lookups_.size(), 1u);
  ASSERT_OK(lookups_[0]);
  EXPECT_EQ(lookups_[0]->owner, PeerAt(5));

  Take(ring_.StartLookup(8, PointAt(250), now_));
  for (int i = 0; i < 200 && lookups_.size() < 2; ++i) {
    while (!calls_.empty()) {
      const CallId id = calls_.front().id;
      const bool lookup = std::holds_alternative<NextHopRequest>(calls_.front().request);
      calls_.erase(calls_.begin());
      if (lookup) Take(ring_.OnReply(id, absl::UnavailableError(""), now_));
    }
    Pass(absl::Milliseconds(100));
  }
  ASSERT_EQ(lookups_.size(), 2u);
  EXPECT_STATUS(lookups_[1], kUnavailable);
}

TEST_F(RingTest, LearnsFromItsOwnUpkeepAndNotFromCallers) {
  JoinBetween90And110();
  const auto names_200 = [&] {
    const auto reply = std::get<NextHopReply>(Request(NextHopRequest{PointAt(230)}));
    return ContainsPoint(reply.closer, PointAt(200));
  };
  NextHopReply closer, found;
  closer.member = found.member = found.found = true;
  closer.closer = PeersAt({200});
  found.owners = PeersAt({255});
  Take(ring_.StartLookup(1, PointAt(230), now_));
  Answer<NextHopRequest>(140, closer);
  Answer<NextHopRequest>(200, found);
  ASSERT_EQ(lookups_.size(), 1u);
  EXPECT_FALSE(names_200());                                      // it would show what was looked up here
  for (int i = 0; i < 200 && !Asked<NextHopRequest>(200); ++i) {  // until a finger or a gap beyond 200 has its turn
    Pass(absl::Milliseconds(100));
    if (Asked<StateRequest>(110)) Answer<StateRequest>(110, Member(100, {120, 130, 140}));
    if (Asked<NextHopRequest>(140)) Answer<NextHopRequest>(140, closer);
  }
  Answer<NextHopRequest>(200, found);
  EXPECT_TRUE(names_200());
  Take(ring_.StartLookup(2, PointAt(230), now_));
  Answer<NextHopRequest>(200, absl::UnavailableError(""));
  EXPECT_FALSE(names_200());
}

TEST_F(RingTest, TooManyLookupsAreRefused) {
  JoinBetween90And110();
  for (size_t i = 0; i <= kPendingLookupsMax; ++i) Take(ring_.StartLookup(i + 1, PointAt(250), now_));
  ASSERT_EQ(lookups_.size(), 1u);
  EXPECT_STATUS(lookups_[0], kResourceExhausted);
}

TEST_F(RingTest, ALeaverTellsItsNeighboursAndIsNoMember) {
  JoinBetween90And110();
  Take(ring_.Leave(now_));
  EXPECT_EQ(ring_.state(), RingState::kLeft);
  EXPECT_TRUE(Asked<LeavingRequest>(110));
  EXPECT_TRUE(Asked<LeavingRequest>(90));
  EXPECT_FALSE(StateNow().member);
  EXPECT_EQ(ring_.NextTick(), absl::InfiniteFuture());
}

TEST_F(RingTest, SurvivesAnyAnswersAndQuestions) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    support::SeededRng script(seed);
    Ring ring(PeerAt(100), SmallOptions(), script);
    std::vector<Call> open;
    absl::Time now = now_;
    const auto peer = [&] { return PeerAt(static_cast<int>(script.Below(32)) * 8 + 4); };
    const auto peers = [&] {
      std::vector<Peer> list;
      for (uint64_t i = script.Below(6); i > 0; --i) list.push_back(script.Below(8) == 0 ? PeerAt(100) : peer());
      return list;
    };
    const auto take = [&](RingActions actions) {
      for (RingAction& action : actions) {
        if (auto* call = std::get_if<Call>(&action)) open.push_back(std::move(*call));
      }
    };
    const auto state = [&] {
      StateReply reply;
      reply.member = script.Below(4) != 0;
      reply.pending = reply.member && script.Below(4) == 0;
      reply.open = script.Below(3) == 0;
      reply.detached = script.Below(2) == 0;
      if (script.Below(2) == 0) reply.predecessor = peer();
      reply.successors = peers();
      reply.more_successors = peers();
      reply.storing_successors = peers();
      reply.predecessors = peers();
      return reply;
    };
    const auto hop = [&] {
      NextHopReply reply;
      reply.member = script.Below(4) != 0;
      reply.found = script.Below(2) == 0;
      reply.owners = peers();
      reply.storing = peers();
      reply.closer = peers();
      return reply;
    };
    take(seed % 2 == 0 ? ring.Create(now) : ring.Join(peers(), now));
    for (int step = 0; step < 3000; ++step) {
      now += absl::Milliseconds(script.Below(200));
      const uint64_t what = script.Below(6);
      if (what == 0) take(ring.OnRequest(RectifyRequest{peer(), peers(), peers(), script.Below(2) == 0}, now).actions);
      if (what == 1) take(ring.OnRequest(LeavingRequest{peer()}, now).actions);
      if (what == 2) take(ring.OnTick(now));
      if (what == 3 && script.Below(10) == 0) take(ring.OnRangeReady(now));
      if (what < 4 || open.empty()) continue;
      const size_t chosen = script.Below(open.size());
      const Call call = open[chosen];
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(chosen));
      absl::StatusOr<RingReply> reply = absl::UnavailableError("");
      // Sometimes an answer of the wrong kind: the driver never lets one through, the core must not trust it to.
      const uint64_t kind = script.Below(5);
      if (kind == 1) reply = RingReply(state());
      if (kind == 2) reply = RingReply(hop());
      if (kind == 3) reply = RingReply(HealthReply{script.Below(2) == 0});
      if (kind == 4) reply = std::holds_alternative<NextHopRequest>(call.request) ? RingReply(hop()) : RingReply(state());
      take(ring.OnReply(call.id, reply, now));
      ASSERT_LE(ring.successors().size(), 3u);
      ASSERT_FALSE(ContainsPoint(ring.successors(), PointAt(100)));
      ASSERT_LE(ring.FarSuccessors().size(), kTableNeighbours);
    }
  }
}

}  // namespace
}  // namespace overlay
