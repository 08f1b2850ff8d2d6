// SPDX-License-Identifier: Apache-2.0
#include "chat/operation_lanes.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/seeded_rng.h"

namespace chat {
namespace {

class Owner : public OperationOwner {
 public:
  base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation&) override {
    return {static_cast<uint8_t>(operation.id)};
  }
  Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation&, base::ByteView answer) override {
    if (answer[0] == 0) return Next::kElsewhere;
    finished.push_back(operation.id);
    return Next::kDone;
  }
  void GiveUp(const Operation& operation, const absl::Status& last) override { given_up.push_back({operation.id, last.code()}); }

  std::vector<uint64_t> finished;
  std::vector<std::pair<uint64_t, absl::StatusCode>> given_up;
};

class OperationLanesTest : public testing::Test {
 protected:
  void AddLanes(int count) {
    for (int i = 0; i < count; ++i)
      lanes_.AddLane(overlay::NodeId::Random(rng_), {static_cast<uint8_t>(i)}, circuits::Purpose::kWrite);
  }
  circuits::OpenedOperation Opened(uint8_t node) {
    circuits::OpenedOperation opened;
    opened.handle = node;
    opened.storage_node.bytes[0] = node;
    return opened;
  }
  // One whole attempt of the operation that `action` opens.
  OperationActions Attempt(const OperationAction& action, uint8_t node, uint8_t answer) {
    const uint64_t ticket = std::get<OpenOp>(action).ticket;
    EXPECT_EQ(lanes_.OnOpened(ticket, Opened(node), now_).size(), 1u);
    return lanes_.OnAnswer(ticket, base::Bytes{answer}, now_);
  }

  support::SeededRng rng_{29};
  Owner owner_;
  OperationLanes lanes_{{.parallel = 2, .attempts = 3, .pause = absl::Seconds(1)}, owner_};
  absl::Time now_ = absl::FromUnixSeconds(1000);
};

TEST_F(OperationLanesTest, OneOperationALaneAndSoManyLanesAtOnce) {
  AddLanes(3);
  for (uint64_t i = 0; i < 6; ++i) lanes_.Submit({i, i % 3});
  OperationActions actions = lanes_.Advance(now_);
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_TRUE(lanes_.Advance(now_).empty());
  actions = Attempt(actions[0], 1, 1);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<OpenOp>(actions[0]).request.isolation, base::Bytes{0});  // the first lane has more to do
  EXPECT_EQ(owner_.finished, std::vector<uint64_t>{0});
}

TEST_F(OperationLanesTest, AFailureIsTriedElsewhereAfterAPauseAndThenGivenUp) {
  AddLanes(1);
  lanes_.Submit({7, 0});
  OperationActions actions = lanes_.Advance(now_);
  for (uint8_t attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_EQ(actions.size(), 1u);
    EXPECT_EQ(std::get<OpenOp>(actions[0]).request.avoid.size(), attempt - 1u);
    EXPECT_TRUE(Attempt(actions[0], attempt, 0).empty());
    if (attempt == 3) break;
    EXPECT_EQ(lanes_.NextTick(), now_ + absl::Seconds(1));
    EXPECT_TRUE(lanes_.Advance(now_).empty());
    now_ += absl::Seconds(1);
    actions = lanes_.Advance(now_);
  }
  ASSERT_EQ(owner_.given_up.size(), 1u);
  EXPECT_EQ(owner_.given_up[0].second, absl::StatusCode::kUnavailable);
  EXPECT_TRUE(lanes_.Idle());
  EXPECT_EQ(lanes_.NextTick(), absl::InfiniteFuture());
}

TEST_F(OperationLanesTest, WhenNobodyElseIsToBeHadTheAvoidedOnesAreAskedAgain) {
  AddLanes(1);
  lanes_.Submit({7, 0});
  lanes_.Avoid(0, Opened(9).storage_node);
  OperationActions actions = lanes_.Advance(now_);
  EXPECT_EQ(std::get<OpenOp>(actions[0]).request.avoid.size(), 1u);
  lanes_.OnOpened(std::get<OpenOp>(actions[0]).ticket, absl::UnavailableError("no replica"), now_);
  now_ += absl::Seconds(1);
  actions = lanes_.Advance(now_);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_TRUE(std::get<OpenOp>(actions[0]).request.avoid.empty());
}

TEST_F(OperationLanesTest, TooFewNodesEndsAnOperationAtOnce) {
  AddLanes(1);
  lanes_.Submit({7, 0});
  const OperationActions actions = lanes_.Advance(now_);
  lanes_.OnOpened(std::get<OpenOp>(actions[0]).ticket, absl::FailedPreconditionError("needs 4"), now_);
  ASSERT_EQ(owner_.given_up.size(), 1u);
  EXPECT_EQ(owner_.given_up[0].second, absl::StatusCode::kFailedPrecondition);
}

TEST_F(OperationLanesTest, ALaneThatIsDroppedTellsNothingAndTakesNewWork) {
  AddLanes(2);
  for (uint64_t i = 0; i < 4; ++i) lanes_.Submit({i, i % 2});
  const OperationActions actions = lanes_.Advance(now_);
  ASSERT_EQ(actions.size(), 2u);
  lanes_.Drop(0);
  EXPECT_TRUE(lanes_.Idle(0));
  EXPECT_FALSE(lanes_.Idle(1));
  EXPECT_TRUE(lanes_.OnOpened(std::get<OpenOp>(actions[0]).ticket, Opened(1), now_).empty());
  EXPECT_TRUE(owner_.given_up.empty());
  lanes_.Submit({9, 0});
  EXPECT_EQ(lanes_.Advance(now_).size(), 1u);
}

TEST_F(OperationLanesTest, AbortGivesUpEverythingAndIgnoresWhatComesLater) {
  AddLanes(2);
  for (uint64_t i = 0; i < 5; ++i) lanes_.Submit({i, i % 2});
  const OperationActions actions = lanes_.Advance(now_);
  lanes_.Abort(absl::DeadlineExceededError("time ran out"));
  EXPECT_EQ(owner_.given_up.size(), 5u);
  EXPECT_TRUE(lanes_.Idle());
  EXPECT_TRUE(lanes_.OnOpened(std::get<OpenOp>(actions[0]).ticket, Opened(1), now_).empty());
  EXPECT_TRUE(lanes_.OnAnswer(std::get<OpenOp>(actions[1]).ticket, base::Bytes{1}, now_).empty());
  EXPECT_TRUE(owner_.finished.empty());
}

}  // namespace
}  // namespace chat
