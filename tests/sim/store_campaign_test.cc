// SPDX-License-Identifier: Apache-2.0
// Small stories of acknowledged records; the seed is the parameter, and a failure prints the command that replays it.
#include "tests/sim/store_campaign.h"

#include <gtest/gtest.h>

namespace sim {
namespace {

using Kind = StoreStory::Kind;

class StoreStories : public testing::TestWithParam<int> {
 protected:
  StoreFigures Run(StoreStory story) {
    story.seed = static_cast<uint64_t>(GetParam());
    const StoreFigures figures = Tell(story);
    EXPECT_EQ(figures.wrong, "") << "replay: " << ReplayCommand(story);
    EXPECT_GT(figures.acknowledged, story.records / 2);
    EXPECT_GT(figures.acknowledged, (figures.acknowledged + figures.not_acknowledged) * 9 / 10);
    return figures;
  }
};

TEST_P(StoreStories, NothingAcknowledgedIsLostToChurnAndPartitions) {
  const StoreFigures figures =
      Run({.kind = Kind::kChurn, .nodes = 32, .records = 300, .length = absl::Minutes(6), .partitions = 1});
  EXPECT_EQ(figures.broken, 0u);
  EXPECT_EQ(figures.missing, 0u);
}

TEST_P(StoreStories, HalfTheNodesOneAfterAnotherCostNothing) {
  const StoreFigures figures = Run({.kind = Kind::kSlowly, .nodes = 16, .records = 200});
  EXPECT_EQ(figures.lost, 0u);
}

TEST_P(StoreStories, HalfTheNodesAtOnceCostWhatTheyHeldAloneAndNobodyCallsItEmpty) {
  const StoreFigures figures = Run({.kind = Kind::kAtOnce, .nodes = 32, .records = 300});
  EXPECT_EQ(static_cast<double>(figures.lost), figures.lost_expected);
  EXPECT_EQ(figures.lost_as_absent, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreStories, testing::Range(0, 6));

}  // namespace
}  // namespace sim
