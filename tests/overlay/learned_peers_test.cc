// SPDX-License-Identifier: Apache-2.0
#include "overlay/learned_peers.h"

#include <gtest/gtest.h>

#include "tests/overlay/test_peers.h"
#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

constexpr size_t kBytes = 24 * 1024;
constexpr absl::Duration kRoundTrip = absl::Milliseconds(50);
const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

// The slots that hold somebody who is trusted.
std::vector<int> Trusted(const LearnedPeers& learned, absl::Time now) {
  std::vector<int> points;
  for (const LearnedPeers::Slot& slot : learned.slots()) {
    if (learned.Trusts(slot, now)) points.push_back(slot.peer->point.bytes[0]);
  }
  return points;
}

TEST(LearnedPeers, KeepsOneOfEachSlot) {
  LearnedPeers learned(PointAt(0), kBytes);
  learned.Heard(PeerAt(143), /*learn=*/true, kRoundTrip, kNow);  // [128, 144) is one slot
  learned.Heard(PeerAt(128), /*learn=*/true, kRoundTrip, kNow);
  learned.Heard(PeerAt(144), /*learn=*/true, kRoundTrip, kNow);
  learned.Heard(PeerAt(63), /*learn=*/true, kRoundTrip, kNow);  // [60, 64)
  EXPECT_EQ(Trusted(learned, kNow), (std::vector<int>{63, 143, 144}));
  learned.Heard(PeerAt(0), /*learn=*/true, kRoundTrip, kNow);  // itself
  EXPECT_EQ(learned.slots().size(), 3u);
}

TEST(LearnedPeers, KeepsTheNearestOfASlotWhileItIsTrusted) {
  LearnedPeers learned(PointAt(0), kBytes);
  const auto in_slot = [&](absl::Time now) { return Trusted(learned, now); };
  learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, kNow);
  learned.Heard(PeerAt(131), /*learn=*/true, 2 * kRoundTrip, kNow);
  EXPECT_EQ(in_slot(kNow), std::vector<int>{130});
  learned.Heard(PeerAt(132), /*learn=*/true, kRoundTrip / 2, kNow);
  EXPECT_EQ(in_slot(kNow), std::vector<int>{132});
  learned.Heard(PeerAt(132), /*learn=*/false, 3 * kRoundTrip, kNow);  // the latest answer counts
  learned.Heard(PeerAt(131), /*learn=*/true, 2 * kRoundTrip, kNow);
  EXPECT_EQ(in_slot(kNow), std::vector<int>{131});
  const absl::Time later = kNow + learned.trust() + absl::Seconds(1);
  learned.Heard(PeerAt(133), /*learn=*/true, 9 * kRoundTrip, later);
  EXPECT_EQ(in_slot(later), std::vector<int>{133});
  learned.Failed(PointAt(133), later);
  learned.Heard(PeerAt(134), /*learn=*/true, 9 * kRoundTrip, later);
  EXPECT_EQ(in_slot(later), std::vector<int>{134});
}

TEST(LearnedPeers, IsNotTaughtByWhoAnsweredACaller) {
  LearnedPeers learned(PointAt(0), kBytes);
  learned.Heard(PeerAt(130), /*learn=*/false, kRoundTrip, kNow);
  EXPECT_TRUE(learned.slots().empty());
  learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, kNow);
  learned.Heard(PeerAt(131), /*learn=*/false, kRoundTrip, kNow + absl::Seconds(1));
  EXPECT_EQ(Trusted(learned, kNow), std::vector<int>{130});
  learned.Heard(PeerAt(130), /*learn=*/false, kRoundTrip, kNow + absl::Seconds(50));  // but who is in is renewed
  EXPECT_EQ(Trusted(learned, kNow + absl::Seconds(100)), std::vector<int>{130});
}

TEST(LearnedPeers, TrustsAsLongAsItTakesThreeOfAHundredToDie) {
  for (const int lifetime_s : {120, 1200, 12000}) {
    support::SeededRng rng(1);
    LearnedPeers learned(PointAt(0), kBytes);
    absl::Time now = kNow;
    double trust_s = 0;
    for (int i = 0; i < 20000; ++i) {
      learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, now);
      const double silence_s = absl::ToDoubleSeconds(learned.trust()) * rng.Unit();
      now += absl::Seconds(silence_s);
      if (rng.Unit() < silence_s / lifetime_s) {
        learned.Failed(PointAt(130), now);
        EXPECT_TRUE(Trusted(learned, now).empty());
      }
      if (i >= 10000) trust_s += absl::ToDoubleSeconds(learned.trust()) / 10000;
    }
    EXPECT_GT(trust_s, 0.015 * lifetime_s);
    EXPECT_LT(trust_s, 0.06 * lifetime_s);
  }
}

TEST(LearnedPeers, KeepsTheSpanOfTrustWithinItsBounds) {
  LearnedPeers learned(PointAt(0), kBytes);
  learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, kNow);
  EXPECT_EQ(Trusted(learned, kNow + kTrustFirst).size(), 1u);
  EXPECT_TRUE(Trusted(learned, kNow + kTrustFirst + absl::Seconds(1)).empty());
  absl::Time now = kNow;
  for (int i = 0; i < 500; ++i) learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, now += absl::Minutes(10));
  EXPECT_EQ(learned.trust(), kTrustMax);
  for (int i = 0; i < 50; ++i) {
    learned.Heard(PeerAt(130), /*learn=*/true, kRoundTrip, now);
    learned.Failed(PointAt(130), now);
  }
  EXPECT_EQ(learned.trust(), kTrustMin);
  const absl::Duration before = learned.trust();
  learned.Failed(PointAt(131), now);  // was never in
  EXPECT_EQ(learned.trust(), before);
}

TEST(LearnedPeers, NamesEveryGapOnceFarthestFirst) {
  support::SeededRng rng(1);
  LearnedPeers learned(PointAt(0), kBytes);
  learned.Heard(PeerAt(245), /*learn=*/true, kRoundTrip, kNow);  // the last slot of all
  EXPECT_EQ(learned.Missing(PointAt(64)), 14u);                  // the list ends in the first slot of [64, 128)
  std::vector<int> points;
  while (const auto gap = learned.NextGap(PointAt(64), kNow, rng)) {
    EXPECT_TRUE(gap->is_new);
    EXPECT_FALSE(gap->silent);
    points.push_back(gap->point.bytes[0]);
  }
  ASSERT_EQ(points.size(), 14u);
  for (size_t i = 0; i < 14; ++i) {
    const int begin = i < 7 ? 224 - 16 * static_cast<int>(i) : 120 - 8 * static_cast<int>(i - 7);
    EXPECT_GE(points[i], begin);
    EXPECT_LT(points[i], begin + (i < 7 ? 16 : 8));
  }
  EXPECT_EQ(learned.Missing(PointAt(64)), 0u);
  const absl::Time later = kNow + kTrustFirst / 2 + absl::Seconds(1);
  const auto again = learned.NextGap(PointAt(64), later, rng);  // the one that is silent, and those where nobody was found
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->is_new);
  EXPECT_EQ(again->silent, PeerAt(245));
  EXPECT_EQ(again->point, PointAt(245).PlusOne());
  EXPECT_FALSE(LearnedPeers(PointAt(0), 0).NextGap(PointAt(64), kNow, rng));
}

TEST(LearnedPeers, StaysWithinItsBytesAndGivesUpTheNearestFirst) {
  support::SeededRng rng(1);
  LearnedPeers learned(PointAt(0), 2500);
  while (learned.NextGap(PointAt(1), kNow, rng)) {
  }
  const size_t room = learned.slots().size();
  EXPECT_GE(room, 8u);
  EXPECT_LE(learned.bytes(), 2500u);
  learned.Heard(PeerAt(3), /*learn=*/true, kRoundTrip, kNow);  // nearer than all: no room
  EXPECT_TRUE(Trusted(learned, kNow).empty());
  for (int point = 1; point < 256; ++point) learned.Heard(PeerAt(point), /*learn=*/true, kRoundTrip, kNow);
  EXPECT_EQ(learned.slots().size(), room);
  EXPECT_EQ(learned.slots().back().peer->point, PointAt(240));
  EXPECT_GE(learned.slots().front().number, learned.slots().back().number - room);
}

TEST(LearnedPeers, DropsWhatTheListKnows) {
  LearnedPeers learned(PointAt(250), kBytes);
  for (const int point : {2, 20, 120}) learned.Heard(PeerAt(point), /*learn=*/true, kRoundTrip, kNow);
  learned.Trim(PointAt(30));
  EXPECT_EQ(Trusted(learned, kNow), std::vector<int>{120});
  learned.Clear();
  EXPECT_TRUE(learned.slots().empty());
}

}  // namespace
}  // namespace overlay
