// SPDX-License-Identifier: Apache-2.0
// What expired goes, what did not stays, with clocks that differ. `./dev soak store --part expiry` does the same for 72,000 s.
#include <gtest/gtest.h>

#include "tests/dht/expiry_trial.h"

namespace dht {
namespace {

TEST(Expiry, WithClocksAnHourOffNothingGoesEarlyOrIsServedLate) {
  const ExpiryTotals totals = ExpiryTrial(/*seed=*/3).Run(absl::Hours(4));
  EXPECT_GT(totals.acknowledged, 2000u);
  EXPECT_GT(totals.checked_alive, 50u);
  EXPECT_GT(totals.checked_expired, 10u);
  EXPECT_EQ(totals.gone, 0u);
  EXPECT_EQ(totals.served, 0u);
  EXPECT_EQ(totals.far_future_taken, 0u);
  EXPECT_LT(totals.held_over_alive_max, 1.7) << "slow clocks keep an hour more of about two";
}

}  // namespace
}  // namespace dht
