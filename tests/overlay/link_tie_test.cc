// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_tie.h"

#include <gtest/gtest.h>

namespace overlay {
namespace {

TEST(LinkTie, KeepsExactlyTheStreamOfTheLowerKeyWhenBothAreOpening) {
  EXPECT_EQ(JudgeIncoming(LinkStanding::kOpening, /*own_key_is_lower=*/true), LinkVerdict::kRefuse);
  EXPECT_EQ(JudgeIncoming(LinkStanding::kOpening, /*own_key_is_lower=*/false), LinkVerdict::kAdopt);
  EXPECT_EQ(JudgeIncoming(LinkStanding::kYielded, /*own_key_is_lower=*/false), LinkVerdict::kAdopt);
}

TEST(LinkTie, ReplacesALinkWhoseOpenerOpensAgain) {
  for (const bool lower : {true, false}) {
    EXPECT_EQ(JudgeIncoming(LinkStanding::kNone, lower), LinkVerdict::kTake);
    EXPECT_EQ(JudgeIncoming(LinkStanding::kOpenedThere, lower), LinkVerdict::kReplace);
  }
  EXPECT_EQ(JudgeIncoming(LinkStanding::kOpenedHere, /*own_key_is_lower=*/true), LinkVerdict::kRefuse);
  EXPECT_EQ(JudgeIncoming(LinkStanding::kOpenedHere, /*own_key_is_lower=*/false), LinkVerdict::kReplace);
}

}  // namespace
}  // namespace overlay
