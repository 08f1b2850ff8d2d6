// SPDX-License-Identifier: Apache-2.0
#include "cli/poll_loop.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"

namespace cli {
namespace {

TEST(PollPause, GrowsWithTheTimeWaitedForAMessage) {
  support::SeededRng rng(1);
  const auto bounds = [&](absl::Duration waited, absl::Duration most) {
    for (int i = 0; i < 1000; ++i) {
      const absl::Duration pause = PauseBetweenPolls({.wait = absl::Minutes(5)}, waited, rng);
      ASSERT_GE(pause, most / 2) << waited;
      ASSERT_LE(pause, most) << waited;
    }
  };
  bounds(absl::ZeroDuration(), kWaitPauseMin);
  bounds(absl::Milliseconds(500), kWaitPauseMin);
  bounds(absl::Seconds(2), kWaitPauseMin);
  bounds(absl::Seconds(50), absl::Seconds(1));
  bounds(absl::Minutes(4), kWaitPauseMax);
}

TEST(PollPause, OfAWatchIsExponentialWithinBounds) {
  support::SeededRng rng(2);
  absl::Duration sum;
  int at_least = 0;
  for (int i = 0; i < 4000; ++i) {
    const absl::Duration pause = PauseBetweenPolls({.watch = true}, absl::Hours(1), rng);
    ASSERT_GE(pause, kWatchMin);
    ASSERT_LE(pause, kWatchMax);
    sum += pause;
    at_least += pause == kWatchMin ? 1 : 0;
  }
  EXPECT_NEAR(absl::ToDoubleSeconds(sum / 4000), 45, 3);
  EXPECT_NEAR(at_least / 4000.0, 1 - std::exp(-5.0 / 45), 0.03) << "the share below the lower bound";
}

}  // namespace
}  // namespace cli
