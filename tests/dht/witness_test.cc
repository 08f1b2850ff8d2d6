// SPDX-License-Identifier: Apache-2.0
#include "dht/witness.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "dht/memory_record_store.h"
#include "tests/dht/store_world.h"

namespace dht {
namespace {

using overlay::NodeId;
using overlay::RingRange;

NodeId At(uint8_t first) {
  NodeId point;
  point.bytes[0] = first;
  return point;
}
RingRange Arc(uint8_t after, uint8_t last) { return {.after = At(after), .last = At(last)}; }

class WitnessTest : public testing::Test {
 protected:
  MemoryRecordStore store_;
  Witness witness_{store_};
  const absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
};

TEST_F(WitnessTest, WhoCreatesARingDoubtsNothingAndWhoComesLaterAll) {
  witness_.Hold(0, Arc(7, 7), /*created=*/true, now_);
  EXPECT_TRUE(witness_.Covers(Arc(7, 7), now_));
  Witness later(store_);
  later.Hold(0, Arc(10, 40), /*created=*/false, now_);
  EXPECT_FALSE(later.Covers(Arc(20, 30), now_));
  EXPECT_EQ(later.OthersNeeded(At(25), now_), 2);
  later.Confirm(Arc(10, 40));
  EXPECT_TRUE(later.Covers(Arc(10, 40), now_));
  EXPECT_EQ(later.OthersNeeded(At(25), now_), 1);
}

TEST_F(WitnessTest, OnlyWhatIsNewIsInDoubt) {
  witness_.Hold(0, Arc(30, 40), /*created=*/true, now_);
  witness_.Hold(0, Arc(10, 40), /*created=*/false, now_);
  EXPECT_TRUE(witness_.Covers(Arc(30, 40), now_));
  EXPECT_FALSE(witness_.Covers(Arc(29, 40), now_));
  EXPECT_FALSE(witness_.Covers(At(30), now_)) << "a range begins behind its first end";
  witness_.Confirm(Arc(20, 30));
  EXPECT_TRUE(witness_.Covers(Arc(20, 40), now_));
  EXPECT_FALSE(witness_.Covers(At(20), now_));
}

TEST_F(WitnessTest, DoubtIsHandedOnOnlyForTheParts) {
  witness_.Hold(0, Arc(100, 200), /*created=*/true, now_);
  witness_.Hold(0, Arc(40, 200), /*created=*/false, now_);
  EXPECT_EQ(witness_.DoubtsIn(Arc(80, 150), now_), std::vector<RingRange>{Arc(80, 100)});
  EXPECT_TRUE(witness_.DoubtsIn(Arc(100, 150), now_).empty());
  Witness later(store_);
  later.Expect(0, Arc(80, 150), now_);
  later.Confirm(Arc(80, 150), witness_.DoubtsIn(Arc(80, 150), now_));
  EXPECT_TRUE(later.Covers(Arc(100, 150), now_));
  EXPECT_FALSE(later.Covers(At(90), now_));
}

// Neighbours who disagree about who is dead ask each other for ranges of which the asked one holds a part, or nothing.
TEST_F(WitnessTest, OfWhatIsNotHeldNothingIsKnown) {
  witness_.Hold(0, Arc(100, 200), /*created=*/true, now_);
  EXPECT_EQ(witness_.DoubtsIn(Arc(80, 150), now_), std::vector<RingRange>{Arc(80, 100)});
  EXPECT_EQ(witness_.DoubtsIn(Arc(20, 60), now_), std::vector<RingRange>{Arc(20, 60)});
  EXPECT_EQ(witness_.DoubtsIn(Arc(150, 220), now_), std::vector<RingRange>{Arc(200, 220)});
  EXPECT_FALSE(witness_.Covers(At(60), now_));
  EXPECT_EQ(witness_.OthersNeeded(At(60), now_), 2);
}

TEST_F(WitnessTest, WhatWasGivenUpAndCameBackIsInDoubtAgain) {
  witness_.Hold(0, Arc(10, 40), /*created=*/true, now_);
  witness_.Hold(0, Arc(30, 40), /*created=*/false, now_);
  EXPECT_EQ(witness_.doubts(), 0u);
  witness_.Hold(0, Arc(10, 40), /*created=*/false, now_);
  EXPECT_FALSE(witness_.Covers(At(20), now_));
}

TEST_F(WitnessTest, RangesGoAroundZero) {
  witness_.Expect(0, Arc(240, 20), now_);
  witness_.Confirm(Arc(250, 10));
  EXPECT_TRUE(witness_.Covers(Arc(250, 10), now_));
  EXPECT_TRUE(witness_.Covers(NodeId{}, now_));
  EXPECT_FALSE(witness_.Covers(At(245), now_));
  EXPECT_FALSE(witness_.Covers(At(15), now_));
  EXPECT_FALSE(witness_.Covers(Arc(5, 5), now_));
}

TEST_F(WitnessTest, ASuspectStoreDoubtsAll) {
  witness_.Hold(0, Arc(7, 7), /*created=*/true, now_);
  store_.SetSuspect(true);
  EXPECT_FALSE(witness_.Covers(At(3), now_));
  store_.SetSuspect(false);
  EXPECT_TRUE(witness_.Covers(At(3), now_));
}

TEST_F(WitnessTest, DoubtEndsWhenWhatWasLostWouldHaveExpired) {
  witness_.Expect(0, Arc(10, 40), now_);
  EXPECT_FALSE(witness_.Covers(At(20), now_ + kDoubtFor));
  EXPECT_TRUE(witness_.Covers(At(20), now_ + kDoubtFor + absl::Seconds(1)));
}

TEST_F(WitnessTest, TooManyDoubtsAreDoubtAboutAll) {
  witness_.Hold(0, Arc(7, 7), /*created=*/true, now_);
  witness_.Expect(0, Arc(0, 200), now_);
  for (uint8_t i = 1; i < 180; i = static_cast<uint8_t>(i + 2)) witness_.Confirm(Arc(i, static_cast<uint8_t>(i + 1)));
  witness_.Hold(0, Arc(0, 201), /*created=*/false, now_);
  EXPECT_EQ(witness_.doubts(), 1u);
  EXPECT_FALSE(witness_.Covers(At(250), now_));
}

// All holders of a record die in one instant: it is lost, and whoever asks is not told that it never was.
TEST(WitnessStory, ALostRecordIsNeverCalledAbsent) {
  StoreWorld world(7);
  for (int i = 0; i < 9; ++i) world.AddMember();
  world.RunFor(absl::Seconds(20));
  const Record record = MakeBlob(base::AsBytes("gone"), world.now() + absl::Hours(20));
  world.Put(world.Pick(/*storing_only=*/true), record, /*pass_on=*/true, [](const auto&) {});
  world.RunFor(absl::Seconds(5));
  const std::vector<overlay::Peer> holders = world.ring().Holders(record.name.point);
  Record never = record;  // one of another owner
  for (int i = 0; world.ring().Holders(never.name.point).front() == holders.front(); ++i) {
    never = MakeBlob(base::AsBytes(absl::StrCat("never put ", i)), world.now() + absl::Hours(20));
  }
  for (const auto& node : world.nodes()) {
    if (ContainsProcess(holders, node->peer.node_key)) world.Kill(*node);
  }
  world.RunFor(absl::Seconds(60));
  int asked = 0;
  for (const auto& node : world.nodes()) {
    if (!node->alive) continue;
    world.Get(*node, record.name, /*pass_on=*/true, [&](const absl::StatusOr<DhtReply>& reply) {
      const auto* get = AnswerAs<GetReply>(reply);
      ASSERT_NE(get, nullptr);
      EXPECT_FALSE(get->record.has_value());
      EXPECT_FALSE(get->complete);
      ++asked;
    });
    world.Get(*node, never.name, /*pass_on=*/true, [&](const absl::StatusOr<DhtReply>& reply) {
      const auto* get = AnswerAs<GetReply>(reply);
      ASSERT_NE(get, nullptr);
      EXPECT_TRUE(get->complete) << "the other ranges have holders that know";
      ++asked;
    });
  }
  world.RunFor(absl::Seconds(30));
  EXPECT_EQ(asked, 12);
}

}  // namespace
}  // namespace dht
