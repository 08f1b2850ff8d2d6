// SPDX-License-Identifier: Apache-2.0
#include "cli/suggestion.h"

#include <gtest/gtest.h>

namespace cli {
namespace {

TEST(Suggestion, CountsEdits) {
  EXPECT_EQ(EditDistance("keys", "keys"), 0u);
  EXPECT_EQ(EditDistance("kyes", "keys"), 1u) << "a swap is one slip";
  EXPECT_EQ(EditDistance("key", "keys"), 1u);
  EXPECT_EQ(EditDistance("", "keys"), 4u);
  EXPECT_EQ(EditDistance("poll", "send"), 4u);
}

TEST(Suggestion, IsTheNearestWordOrNone) {
  const std::vector<std::string> words = {"send", "poll", "keys", "status"};
  EXPECT_EQ(Nearest("kyes", words), "keys");
  EXPECT_EQ(Nearest("sned", words), "send");
  EXPECT_EQ(Nearest("stauts", words), "status");
  EXPECT_EQ(Nearest("frobnicate", words), "");
  EXPECT_EQ(Nearest(std::string(1000, 'x'), words), "");
}

}  // namespace
}  // namespace cli
