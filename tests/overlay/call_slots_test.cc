// SPDX-License-Identifier: Apache-2.0
#include "overlay/call_slots.h"

#include <gtest/gtest.h>

#include <set>

namespace overlay {
namespace {

using From = CallSlots::From;

keys::PublicKey Key(size_t number) {
  keys::PublicKey key;
  key.bytes[0] = static_cast<uint8_t>(number);
  key.bytes[1] = static_cast<uint8_t>(number >> 8);
  return key;
}

class CallSlotsTest : public testing::Test {
 protected:
  CallSlots::Slot Unread(From from, size_t caller, bool is_stream = false) { return slots_.Take(from, Key(caller), is_stream).slot; }
  CallSlots::Slot Read(From from, size_t caller, bool is_stream = false) {
    const CallSlots::Slot slot = Unread(from, caller, is_stream);
    slots_.OnRead(slot);
    return slot;
  }
  // As many as are let in.
  size_t Fill(From from, size_t first_caller, size_t callers, size_t of_each) {
    size_t taken = 0;
    for (size_t caller = first_caller; caller < first_caller + callers; ++caller) {
      for (size_t i = 0; i < of_each; ++i) taken += Read(from, caller) != 0 ? 1 : 0;
    }
    return taken;
  }

  CallSlots slots_;
};

TEST_F(CallSlotsTest, AKnownCallerHasManyAStrangerFew) {
  EXPECT_EQ(Fill(From::kKnown, 1, 1, 1000), kServedCallsPerKnownMax);
  EXPECT_EQ(Fill(From::kStranger, 2, 1, 1000), kServedCallsPerStrangerMax);
  EXPECT_EQ(Fill(From::kLocal, 0, 1, 1000), kServedCallsLocalMax);
}

TEST_F(CallSlotsTest, AStrangerHasFewCallsWhoseRequestDoesNotCome) {
  std::vector<CallSlots::Slot> silent;
  for (size_t i = 0; i < kUnreadPerStrangerMax; ++i) silent.push_back(Unread(From::kStranger, 1));
  EXPECT_EQ(Unread(From::kStranger, 1), 0u);
  slots_.OnRead(silent[3]);
  EXPECT_NE(Unread(From::kStranger, 1), 0u);
  EXPECT_EQ(Unread(From::kStranger, 1), 0u);
  slots_.Release(silent[4]);
  EXPECT_NE(Unread(From::kStranger, 1), 0u);
}

TEST_F(CallSlotsTest, StrangersNeverHaveMoreThanTheirHalf) {
  EXPECT_EQ(Fill(From::kStranger, 100, 100, kServedCallsPerStrangerMax), kServedCallsOfStrangersMax);
  EXPECT_EQ(Fill(From::kKnown, 1, 10, kServedCallsPerKnownMax), kServedCallsMax - kServedCallsOfStrangersMax);
  EXPECT_EQ(Fill(From::kLocal, 0, 1, 1000), kServedCallsLocalMax);
}

TEST_F(CallSlotsTest, AFullHalfOustsTheLongestUnreadOfAStranger) {
  const CallSlots::Slot known = Unread(From::kKnown, 1);
  std::vector<CallSlots::Slot> silent;
  for (size_t i = 0; i < kServedCallsOfStrangersMax; ++i) silent.push_back(Unread(From::kStranger, 100 + i / kUnreadPerStrangerMax));
  slots_.OnRead(silent[0]);
  const CallSlots::Taken taken = slots_.Take(From::kStranger, Key(2), /*is_stream=*/false);
  EXPECT_NE(taken.slot, 0u);
  EXPECT_EQ(taken.ousted, silent[1]);
  const size_t before = slots_.size();
  slots_.Release(silent[1]);  // its end comes later, and counts for nothing
  slots_.OnRead(silent[1]);
  EXPECT_EQ(slots_.size(), before);
  EXPECT_EQ(before, kServedCallsOfStrangersMax + 1);
  slots_.Release(known);
  EXPECT_EQ(slots_.size(), before - 1);
}

TEST_F(CallSlotsTest, NobodyIsOustedWhoseRequestHasCome) {
  EXPECT_EQ(Fill(From::kStranger, 100, 100, kServedCallsPerStrangerMax), kServedCallsOfStrangersMax);
  EXPECT_EQ(Unread(From::kStranger, 7), 0u);
}

TEST_F(CallSlotsTest, StreamsOfStrangersAreFewTogether) {
  std::vector<CallSlots::Slot> streams;
  for (size_t i = 0; i < kStreamsOfStrangersMax; ++i) streams.push_back(Read(From::kStranger, 100 + i / 8, /*is_stream=*/true));
  EXPECT_EQ(std::set<CallSlots::Slot>(streams.begin(), streams.end()).count(0), 0u);
  EXPECT_EQ(Read(From::kStranger, 9, /*is_stream=*/true), 0u);
  EXPECT_NE(Read(From::kStranger, 9), 0u);
  EXPECT_NE(Read(From::kKnown, 1, /*is_stream=*/true), 0u);
  slots_.Release(streams[0]);
  EXPECT_NE(Read(From::kStranger, 9, /*is_stream=*/true), 0u);
}

TEST_F(CallSlotsTest, EverySlotComesBack) {
  std::vector<CallSlots::Slot> taken;
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 40; ++i) {
      taken.push_back(Unread(From::kStranger, i, i % 2 == 0));
      taken.push_back(Read(From::kKnown, 50 + i, i % 2 == 0));
      taken.push_back(Read(From::kLocal, 0));
    }
    for (const CallSlots::Slot slot : taken) slots_.Release(slot);
    EXPECT_EQ(slots_.size(), 0u);
  }
  EXPECT_EQ(Fill(From::kStranger, 100, 100, kServedCallsPerStrangerMax), kServedCallsOfStrangersMax);
}

}  // namespace
}  // namespace overlay
