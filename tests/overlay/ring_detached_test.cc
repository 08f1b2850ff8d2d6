// SPDX-License-Identifier: Apache-2.0
// A Ring core that lost its whole successor list: who founds the ring anew, and who never does.
#include "tests/overlay/ring_fixture.h"

namespace overlay {
namespace {

// Detached at 100, with only itself and 200 alive, which is no member either.
class DetachedRingTest : public RingTest {
 protected:
  void Detach() {
    JoinBetween90And110();
    Pass(absl::Seconds(1));
    for (const int dead : {110, 120, 130}) Answer<StateRequest>(dead, absl::UnavailableError(""));
    ASSERT_EQ(ring_.state(), RingState::kDetached);
    calls_.clear();
    // The sweep finds nobody.
    Take(ring_.OnTick(now_));
    while (!calls_.empty()) {
      const CallId id = calls_.front().id;
      calls_.erase(calls_.begin());
      Take(ring_.OnReply(id, absl::UnavailableError(""), now_));
    }
    ASSERT_GE(contacts_wanted_, 1);
  }
};

TEST_F(DetachedRingTest, FoundsAnewWithANewcomerThatAnswers) {
  Detach();
  Request(RectifyRequest{PeerAt(50), {}, {}, /*seeking=*/true});
  EXPECT_EQ(ring_.state(), RingState::kDetached);
  Answer<StateRequest>(50, StateReply{});  // alive, joining
  EXPECT_TRUE(ring_.IsMember());
  EXPECT_TRUE(ring_.successors().empty());
  EXPECT_TRUE(Asked<RectifyRequest>(50));  // told, so that it comes at once
}

TEST_F(DetachedRingTest, LeavesItToTheSmallerOneOfTwoDetached) {
  Detach();
  StateReply detached;
  detached.detached = true;
  Request(RectifyRequest{PeerAt(50), {}, {}, /*seeking=*/true});
  Answer<StateRequest>(50, detached);
  EXPECT_EQ(ring_.state(), RingState::kDetached);
  EXPECT_TRUE(Asked<RectifyRequest>(50));  // asks to be let in there
  Request(RectifyRequest{PeerAt(200), {}, {}, /*seeking=*/true});
  Answer<StateRequest>(200, detached);
  EXPECT_TRUE(ring_.IsMember());
}

TEST_F(DetachedRingTest, DoesNotFoundWithWhoDoesNotAnswer) {
  Detach();
  Request(RectifyRequest{PeerAt(200), {}, {}, /*seeking=*/true});
  Answer<StateRequest>(200, absl::UnavailableError(""));
  EXPECT_EQ(ring_.state(), RingState::kDetached);
}

TEST_F(RingTest, ANewcomerNeverFounds) {
  Take(ring_.Join({PeerAt(90)}, now_));
  Answer<NextHopRequest>(90, NextHopReply{});  // no member
  ForgetCalls();
  Request(RectifyRequest{PeerAt(200), {}, {}, /*seeking=*/true});
  Pass(absl::Seconds(5));
  EXPECT_EQ(ring_.state(), RingState::kJoining);
}

}  // namespace
}  // namespace overlay
