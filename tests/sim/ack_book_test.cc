// SPDX-License-Identifier: Apache-2.0
// The checker of losses itself: what it calls a broken promise, and what it does not.
#include "tests/sim/ack_book.h"

#include <gtest/gtest.h>

namespace sim {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class AckBookTest : public testing::Test {
 protected:
  AckBookTest() { entry_ = book_.Expect(record_); }
  void Write(size_t node) { book_.OnWritten(node, {.puts = {record_}}, kNow); }
  void Die(size_t node) { book_.OnDiskLost(node, kNow); }

  const dht::Record record_ = dht::MakeBlob(base::AsBytes("a"), kNow + absl::Hours(1));
  AckBook book_{3, 2, [](size_t) { return true; }};
  size_t entry_ = 0;
};

TEST_F(AckBookTest, TwoDeathsBeforeItWasWholeAreAllowed) {
  Write(1), Write(2);
  book_.Acknowledge(entry_, kNow);
  Die(1), Die(2);
  EXPECT_EQ(book_.lost(), 1u);
  EXPECT_EQ(book_.broken(), 0u);
}

TEST_F(AckBookTest, OneDeathThatTakesTheLastCopyIsNot) {
  Write(1), Write(2);
  book_.Acknowledge(entry_, kNow);
  book_.OnWritten(2, {.removes = {record_.name}}, kNow);
  Die(1);
  EXPECT_EQ(book_.broken(), 1u);
  EXPECT_NE(book_.first_broken(), "");
}

TEST_F(AckBookTest, ThreeDeathsInARowAreAllowedOnceItWasWhole) {
  Write(1), Write(2), Write(3);
  book_.Acknowledge(entry_, kNow);
  Die(1), Die(2), Die(3);
  EXPECT_EQ(book_.lost(), 1u);
  EXPECT_EQ(book_.broken(), 0u);
}

TEST_F(AckBookTest, RepairBetweenDeathsCountsThemAnew) {
  Write(1), Write(2), Write(3);
  book_.Acknowledge(entry_, kNow);
  Die(1);
  Write(4);
  Die(2);
  book_.OnWritten(3, {.removes = {record_.name}}, kNow);
  Die(4);
  EXPECT_EQ(book_.broken(), 1u) << "two deaths since it had three copies";
}

TEST_F(AckBookTest, WhatWasNotAcknowledgedMayGo) {
  Write(1);
  Die(1);
  EXPECT_EQ(book_.lost(), 0u);
  Write(2);
  book_.Acknowledge(entry_, kNow);
  EXPECT_EQ(book_.lost(), 0u);
}

}  // namespace
}  // namespace sim
