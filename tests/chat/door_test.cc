// SPDX-License-Identifier: Apache-2.0
#include "chat/door.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

absl::Time At(Day day, int hour) { return StartOfDay(day) + absl::Hours(hour); }

TEST(Door, ADayBeginsAtMidnightUtc) {
  EXPECT_EQ(DayOf(absl::FromUnixSeconds(0)), 0u);
  EXPECT_EQ(DayOf(absl::FromUnixSeconds(86399)), 0u);
  EXPECT_EQ(DayOf(absl::FromUnixSeconds(86400)), 1u);
  EXPECT_EQ(DayOf(absl::FromUnixSeconds(-5)), 0u);
  EXPECT_EQ(DayOf(absl::InfiniteFuture()), UINT32_MAX);
  EXPECT_EQ(DayOf(At(20780, 23)), 20780u);
}

TEST(Door, EnvelopesLiveToTheEndOfDayFourteenAndTombstonesADayLonger) {
  EXPECT_EQ(EnvelopeExpiry(100), StartOfDay(115));
  EXPECT_EQ(TombstoneExpiry(100), StartOfDay(116));
}

TEST(Door, PlacesDifferByDayPlaceAndIdentity) {
  support::SeededRng rng(1);
  std::set<overlay::NodeId> points;
  for (int i = 0; i < 3; ++i) {
    const keys::SigningKey identity = keys::SigningKey::Generate(rng);
    for (Day day = 20780; day < 20784; ++day) {
      ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(identity.public_key(), "local", day));
      for (uint8_t place = 0; place < kPlaceCount; ++place) points.insert(door.Point(place));
    }
  }
  EXPECT_EQ(points.size(), 3u * 4 * 3);
}

TEST(Door, AnInvalidIdentityHasNoDoor) {
  keys::PublicKey bad;
  bad.bytes.fill(0xff);
  EXPECT_STATUS(DoorOf(bad, "local", 1), kInvalidArgument);
}

TEST(Door, FirstPlacesAreSpreadEvenly) {
  support::SeededRng rng(2);
  int counts[kPlaceCount] = {};
  for (int i = 0; i < 3000; ++i) ++counts[FirstPlace(rng.Array<64>())];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 120);
}

TEST(DaysToPoll, BeginTheDayBeforeTheLastCompletePoll) {
  EXPECT_EQ(DaysToPoll({At(50, 0), false, At(100, 5)}, At(100, 6)), (std::vector<Day>{99, 100, 101}));
  EXPECT_EQ(DaysToPoll({At(50, 0), true, At(98, 23)}, At(100, 6)), (std::vector<Day>{97, 98, 99, 100, 101}));
}

TEST(DaysToPoll, BeginTheDayBeforeANewIdentityWasMade) {
  EXPECT_EQ(DaysToPoll({At(100, 1), false, {}}, At(100, 2)), (std::vector<Day>{99, 100, 101}));
  EXPECT_EQ(DaysToPoll({At(97, 1), false, {}}, At(100, 2)).front(), 96u);
}

TEST(DaysToPoll, GoFifteenDaysBackForAnImportedIdentityAndNeverFurther) {
  const std::vector<Day> days = DaysToPoll({At(100, 1), true, {}}, At(100, 2));
  EXPECT_EQ(days.front(), 85u);
  EXPECT_EQ(days.back(), 101u);
  EXPECT_EQ(days.size(), 17u);
  EXPECT_EQ(DaysToPoll({At(10, 1), false, {}}, At(100, 2)).front(), 85u);
  EXPECT_EQ(DaysToPoll({At(10, 1), false, At(20, 2)}, At(100, 2)).front(), 85u);
}

TEST(DaysToPoll, AClockThatWentBackStillListsYesterdayTodayAndTomorrow) {
  EXPECT_EQ(DaysToPoll({At(100, 0), false, At(200, 0)}, At(100, 6)), (std::vector<Day>{99, 100, 101}));
  EXPECT_EQ(DaysToPoll({At(100, 0), false, {}}, absl::FromUnixSeconds(0)), (std::vector<Day>{0, 1}));
}

TEST(IsolationOf, DiffersByDayPlaceAndSession) {
  support::SeededRng rng(3);
  const auto one = rng.Array<32>(), other = rng.Array<32>();
  const std::set<base::Bytes> values = {IsolationOf(one, 1, 0), IsolationOf(one, 1, 1), IsolationOf(one, 2, 0),
                                        IsolationOf(other, 1, 0)};
  EXPECT_EQ(values.size(), 4u);
  EXPECT_EQ(IsolationOf(one, 1, 0), IsolationOf(one, 1, 0));
}

}  // namespace
}  // namespace chat
