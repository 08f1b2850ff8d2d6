// SPDX-License-Identifier: Apache-2.0
#include "cli/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cli {
namespace {

using bulbil::v1::StatusReply;
using testing::HasSubstr;

StatusReply Look(double uptime_s, double cells, double cpu_s = 0) {
  StatusReply look;
  look.set_uptime_s(uptime_s);
  look.set_cpu_s(cpu_s);
  look.mutable_circuits()->set_cells_relayed(cells);
  return look;
}

TEST(Trend, TellsRatesBetweenTwoLooks) {
  Trend trend;
  trend.Add(Look(10, 1000, 1));
  EXPECT_EQ(trend.cells_per_s(), 0);
  EXPECT_EQ(trend.Bars(), "");
  trend.Add(Look(12, 1500, 1.5));
  EXPECT_EQ(trend.cells_per_s(), 250);
  EXPECT_EQ(trend.cpu_percent(), 25);
  EXPECT_EQ(trend.Bars(), "█");
  trend.Add(Look(14, 1750));
  trend.Add(Look(16, 1750));
  EXPECT_EQ(trend.Bars(), "█▄ ");
}

TEST(Trend, BeginsAnewWithANodeThatWasStartedAgain) {
  Trend trend;
  trend.Add(Look(10, 1000));
  trend.Add(Look(11, 2000));
  trend.Add(Look(1, 5));
  EXPECT_EQ(trend.cells_per_s(), 0);
  EXPECT_EQ(trend.Bars(), "");
  trend.Add(Look(2, 15));
  EXPECT_EQ(trend.cells_per_s(), 10);
}

TEST(Trend, KeepsNoMoreThanFitsTheScreen) {
  Trend trend;
  for (int i = 0; i < 200; ++i) trend.Add(Look(i + 1, 100.0 * i));
  EXPECT_EQ(trend.Bars().size(), Trend::kWidth * std::string("█").size());
}

TEST(TopScreen, SaysWhatIsGoingOnBelowTheStatus) {
  StatusReply look = Look(100, 0);
  look.set_state("ready");
  look.set_memory_mib(31.4);
  look.mutable_circuits()->set_queued(7);
  Trend trend;
  trend.Add(look);
  look.set_uptime_s(101);
  look.mutable_circuits()->set_cells_relayed(512);
  trend.Add(look);
  const std::string screen = TopScreen(look, trend);
  EXPECT_THAT(screen, HasSubstr("ready"));
  EXPECT_THAT(screen, HasSubstr("512 cells/s, 1.0 MiB/s relayed   7 waiting"));
  EXPECT_THAT(screen, HasSubstr("memory 31 MiB"));
}

}  // namespace
}  // namespace cli
