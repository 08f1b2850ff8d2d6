// SPDX-License-Identifier: Apache-2.0
#include "chat/traffic_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "chat/reading_turns.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using circuits::Purpose;
using testing::ElementsAre;

constexpr absl::Time kStart = absl::FromUnixSeconds(1000);

// Who is served at each of `ticks` ticks; with `refill` everything always waits.
std::map<Purpose, int> Serve(TrafficClock& clock, std::map<uint64_t, Purpose>& waiting, int ticks, bool refill, int* cover) {
  std::map<Purpose, int> served;
  uint64_t ticket = waiting.empty() ? 0 : waiting.rbegin()->first;
  for (int i = 0; i < ticks; ++i) {
    const TrafficClock::Tick tick = clock.OnTick(clock.NextTick());
    if (tick.order.empty()) {
      ++*cover;
      continue;
    }
    const uint64_t first = tick.order.front();
    const Purpose purpose = waiting.extract(first).mapped();
    ++served[purpose];
    clock.Remove(first);
    if (!refill) continue;
    EXPECT_OK(clock.Submit(++ticket, purpose));
    waiting.emplace(ticket, purpose);
  }
  return served;
}

TEST(TrafficClock, TicksAreExponentialAroundTheMeanOfTheProfile) {
  for (const Profile profile : {Profile::kLow, Profile::kNormal, Profile::kFast}) {
    support::SeededRng rng(1);
    const absl::Duration mean = RatesOf(profile).tick_mean;
    TrafficClock clock(mean, rng, kStart);
    constexpr int kTicks = 20000;
    int longer = 0;
    absl::Time last = kStart;
    for (int i = 0; i < kTicks; ++i) {
      longer += clock.NextTick() - last > mean ? 1 : 0;
      last = clock.NextTick();
      clock.OnTick(last);
    }
    EXPECT_NEAR(absl::FDivDuration(last - kStart, mean), kTicks, 4 * std::sqrt(kTicks)) << NameOf(profile);
    EXPECT_NEAR(longer, kTicks * std::exp(-1), 4 * std::sqrt(kTicks)) << NameOf(profile);
  }
}

TEST(TrafficClock, TimesAreTheSameWithWorkAndWithout) {
  support::SeededRng one(7), other(7), chooser(8);
  TrafficClock silent(absl::Seconds(10), one, kStart), busy(absl::Seconds(10), other, kStart);
  uint64_t ticket = 0;
  for (int i = 0; i < 5000; ++i) {
    for (uint64_t n = chooser.Below(4); n > 0; --n) {
      if (busy.waiting() == kWaitingMax) break;
      EXPECT_OK(busy.Submit(++ticket, static_cast<Purpose>(chooser.Below(4))));
    }
    ASSERT_EQ(silent.NextTick(), busy.NextTick());
    const TrafficClock::Tick idle = silent.OnTick(silent.NextTick()), tick = busy.OnTick(busy.NextTick());
    EXPECT_EQ(idle.learns, tick.learns);
    if (!tick.order.empty()) busy.Remove(tick.order.front());
  }
}

TEST(TrafficClock, AnEighthIsAlwaysCoverAndNoKindStarves) {
  support::SeededRng rng(3);
  TrafficClock clock(absl::Seconds(1), rng, kStart);
  std::map<uint64_t, Purpose> waiting;
  for (uint64_t i = 1; i <= 40; ++i) {
    waiting.emplace(i, static_cast<Purpose>(i % 4));
    ASSERT_OK(clock.Submit(i, static_cast<Purpose>(i % 4)));
  }
  constexpr int kTicks = 16000, kEighth = kTicks / 8, kNear = 200;
  int cover = 0;
  auto served = Serve(clock, waiting, kTicks, /*refill=*/true, &cover);
  EXPECT_NEAR(cover, kEighth, kNear);
  EXPECT_NEAR(served[Purpose::kWrite], 4 * kEighth, 2 * kNear);
  EXPECT_NEAR(served[Purpose::kFocus], kEighth, kNear);
  EXPECT_NEAR(served[Purpose::kRead], kEighth, kNear);
  EXPECT_NEAR(served[Purpose::kListing], kEighth, kNear);

  std::erase_if(waiting, [&](const auto& one) {
    if (one.second == Purpose::kWrite) clock.Remove(one.first);
    return one.second == Purpose::kWrite;
  });
  served = Serve(clock, waiting, kTicks, /*refill=*/true, &cover);
  EXPECT_NEAR(served[Purpose::kFocus], 5 * kEighth, 2 * kNear) << "the conversation that is open";
}

TEST(TrafficClock, AllThatWaitsIsServedInItsOrderAndThenAllIsCover) {
  support::SeededRng rng(4);
  TrafficClock clock(absl::Seconds(1), rng, kStart);
  for (uint64_t i = 1; i <= 5; ++i) ASSERT_OK(clock.Submit(i, Purpose::kWrite));
  std::vector<uint64_t> served;
  for (int i = 0; i < 50; ++i) {
    const TrafficClock::Tick tick = clock.OnTick(clock.NextTick());
    if (tick.order.empty()) continue;
    served.push_back(tick.order.front());
    clock.Remove(tick.order.front());
  }
  EXPECT_THAT(served, ElementsAre(1, 2, 3, 4, 5));
}

TEST(TrafficClock, MissedTicksAreNotMadeUpFor) {
  support::SeededRng rng(5);
  TrafficClock clock(absl::Seconds(1), rng, kStart);
  const absl::Time late = kStart + absl::Hours(1);
  clock.OnTick(late);
  EXPECT_GT(clock.NextTick(), late);
}

TEST(TrafficClock, RefusesMoreThanItHasRoomFor) {
  support::SeededRng rng(6);
  TrafficClock clock(absl::Seconds(1), rng, kStart);
  for (uint64_t i = 1; i <= kWaitingMax; ++i) ASSERT_OK(clock.Submit(i, Purpose::kRead));
  EXPECT_STATUS(clock.Submit(kWaitingMax + 1, Purpose::kWrite), kResourceExhausted);
  EXPECT_LE(clock.OnTick(clock.NextTick()).order.size(), kTriesPerTick);
  clock.Remove(1);
  EXPECT_OK(clock.Submit(kWaitingMax + 2, Purpose::kWrite));
}

TEST(TrafficClock, BytesOfADayCountTheCircuitsToo) {
  EXPECT_EQ(BytesPerDay(Profile::kNormal), 8640 * 11 * 2048.0);
  EXPECT_EQ(BytesPerDay(Profile::kFast), 20 * BytesPerDay(Profile::kNormal));
  EXPECT_EQ(BytesPerDay(Profile::kOff), 0);
  EXPECT_EQ(ParseProfile("fast"), Profile::kFast);
  EXPECT_EQ(ParseProfile("quick"), std::nullopt);
}

TEST(ReadingTurns, EachSecondTurnIsOfTheOneInFocusAndAllOthersComeInTurn) {
  support::SeededRng rng(9);
  std::vector<keys::PublicKey> contacts(3);
  for (size_t i = 0; i < contacts.size(); ++i) contacts[i].bytes[0] = static_cast<uint8_t>(i + 1);
  ReadingTurns turns(rng);
  ASSERT_FALSE(turns.Next(contacts, contacts[2], kStart)->only.has_value()) << "upkeep first";
  std::map<keys::PublicKey, int> read;
  int upkeep = 0, brief = 0;
  constexpr int kTurns = 1700;
  for (int i = 0; i < kTurns; ++i) {
    const auto turn = turns.Next(contacts, contacts[2], kStart);
    ASSERT_TRUE(turn.has_value());
    upkeep += turn->only ? 0 : 1;
    brief += turn->brief ? 1 : 0;
    if (turn->only) ++read[*turn->only];
  }
  EXPECT_EQ(upkeep, kTurns / (kTurnsPerUpkeep + 1));
  EXPECT_NEAR(read[contacts[2]], 1600 * 4 / 6, 2);
  EXPECT_NEAR(read[contacts[0]], 1600 / 6, 2);
  EXPECT_NEAR(read[contacts[1]], 1600 / 6, 2);
  EXPECT_NEAR(brief, 1600 * 2 / 3, 80);
}

TEST(ReadingTurns, WithNobodyToReadUpkeepComesFromTimeToTime) {
  support::SeededRng rng(10);
  ReadingTurns turns(rng);
  EXPECT_TRUE(turns.Next({}, std::nullopt, kStart).has_value());
  EXPECT_FALSE(turns.Next({}, std::nullopt, kStart + kUpkeepEvery / 2).has_value());
  EXPECT_TRUE(turns.Next({}, std::nullopt, kStart + kUpkeepEvery).has_value());
  turns.Restart();
  EXPECT_TRUE(turns.Next({}, std::nullopt, kStart + kUpkeepEvery).has_value());
}

TEST(ReadingTurns, WhenTheLastContactGoesUpkeepGoesOn) {
  support::SeededRng rng(10);
  ReadingTurns turns(rng);
  const std::vector<keys::PublicKey> one(1);
  EXPECT_FALSE(turns.Next(one, std::nullopt, kStart)->only.has_value());
  EXPECT_TRUE(turns.Next(one, std::nullopt, kStart)->only.has_value());
  EXPECT_FALSE(turns.Next({}, std::nullopt, kStart).has_value());
  EXPECT_TRUE(turns.Next({}, std::nullopt, kStart + kUpkeepEvery).has_value());
}

}  // namespace
}  // namespace chat
