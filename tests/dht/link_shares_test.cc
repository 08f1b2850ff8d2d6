// SPDX-License-Identifier: Apache-2.0
#include "dht/link_shares.h"

#include <gtest/gtest.h>

namespace dht {
namespace {

constexpr uint64_t kSpace = 1'000'000, kRecord = 100;
const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

keys::PublicKey Link(uint32_t number) {
  keys::PublicKey key;
  for (size_t i = 0; i < 4; ++i) key.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  return key;
}

class LinkSharesTest : public testing::Test {
 protected:
  // Puts by turns until all are refused; what each of the links stored.
  std::vector<uint64_t> Flood(const std::vector<uint32_t>& links, absl::Time now) {
    std::vector<uint64_t> stored(links.size(), 0);
    bool any = true;
    while (any) {
      any = false;
      for (size_t i = 0; i < links.size(); ++i) {
        if (!shares_.Take(Link(links[i]), kRecord, kSpace - used_, now)) continue;
        stored[i] += kRecord;
        used_ += kRecord;
        any = true;
      }
    }
    return stored;
  }
  LinkShares shares_;
  uint64_t used_ = 0;
};

TEST_F(LinkSharesTest, OneThatFloodsGetsHalfAndOthersStillFindRoom) {
  EXPECT_NEAR(static_cast<double>(Flood({1}, kStart)[0]), kSpace / 2, kRecord);
  EXPECT_TRUE(shares_.Take(Link(2), kSpace / 4, kSpace - used_, kStart));
}

TEST_F(LinkSharesTest, ManyThatFloodShareAlikeAndLeaveAsMuchAsOneOfThemGot) {
  for (const uint64_t stored : Flood({1, 2, 3, 4}, kStart)) EXPECT_NEAR(static_cast<double>(stored), kSpace / 5, kRecord);
  EXPECT_NEAR(static_cast<double>(kSpace - used_), kSpace / 5, 4 * kRecord);
}

TEST_F(LinkSharesTest, WhatWasBroughtIsForgottenByHalves) {
  Flood({1}, kStart);
  EXPECT_FALSE(shares_.Take(Link(1), kRecord, kSpace - used_, kStart));
  EXPECT_TRUE(shares_.Take(Link(1), kSpace / 4 - kRecord, kSpace - used_, kStart + kShareHalfLife));
  EXPECT_FALSE(shares_.Take(Link(1), 2 * kRecord, kSpace - used_, kStart + kShareHalfLife));
}

TEST_F(LinkSharesTest, RemembersSoManyLinksAndForgetsTheSmallest) {
  EXPECT_TRUE(shares_.Take(Link(0), 10 * kRecord, kSpace, kStart));
  for (uint32_t i = 1; i < kSharesMax + 50; ++i) EXPECT_TRUE(shares_.Take(Link(i), kRecord, kSpace, kStart));
  EXPECT_EQ(shares_.size(), kSharesMax);
  EXPECT_FALSE(shares_.Take(Link(0), kSpace - 5 * kRecord, kSpace, kStart)) << "the largest is remembered";
}

}  // namespace
}  // namespace dht
