// SPDX-License-Identifier: Apache-2.0
// What was acknowledged outlives the power. `./dev soak store` does the same some hundred thousand times.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/dht/power_trial.h"

namespace dht {
namespace {

constexpr uint64_t kSeed = 4;

TEST(PowerLoss, LosesNothingThatWasAcknowledged) {
  const PowerTotals totals = PowerTrial(kSeed, /*logs_are_synced=*/true).Run(300);
  EXPECT_EQ(totals.lost, 0u);
  EXPECT_EQ(totals.wrong, 0u);
  EXPECT_EQ(totals.half, 0u);
  EXPECT_EQ(totals.refused, 0u);
  EXPECT_GT(totals.acknowledged, 1000u);
  EXPECT_GT(totals.suspect, 0u) << "no log was ever torn: the disk is too kind to prove anything";
}

// The control: on a disk that only pretends to sync logs the same must lose, or the test above proves nothing.
TEST(PowerLoss, LosesWithoutSync) {
  const PowerTotals totals = PowerTrial(kSeed, /*logs_are_synced=*/false).Run(60);
  EXPECT_GT(totals.lost, 10u);
  EXPECT_EQ(totals.half, 0u);
}

}  // namespace
}  // namespace dht
