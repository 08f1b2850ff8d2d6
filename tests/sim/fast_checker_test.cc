// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fast_checker.h"

#include <gtest/gtest.h>

#include "tests/sim/world.h"
#include "tests/support/seeded_rng.h"

namespace sim {
namespace {

overlay::NodeId Point(size_t i) {
  overlay::NodeId point;
  point.bytes[0] = static_cast<uint8_t>(10 * i + 5);
  return point;
}

// Members come, go and point anywhere, in order or not: after each change both checkers see as many principals.
TEST(FastChecker, CountsThePrincipalsOfTheSnapshotChecker) {
  constexpr size_t kPoints = 12;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    support::SeededRng rng(seed);
    std::vector<overlay::NodeId> points;
    for (size_t i = 0; i < kPoints; ++i) points.push_back(Point(i));
    FastChecker checker(points, 3);
    std::vector<std::optional<MemberView>> views(kPoints);
    for (int change = 0; change < 40; ++change) {
      const size_t at = rng.Below(kPoints);
      views[at].reset();
      if (rng.Below(4) != 0) {
        views[at] = MemberView{Point(at), {}, std::nullopt};
        const size_t length = 1 + rng.Below(3);
        for (size_t k = 1; k <= length; ++k) {
          views[at]->successors.push_back(Point((at + k + rng.Below(2) * (length - k)) % kPoints));
        }
        if (rng.Below(5) == 0) views[at]->successors.back() = views[at]->successors.front().PlusOne();
      }
      checker.Set(Point(at), views[at] ? &*views[at] : nullptr, /*died=*/false);
      RingView view;
      view.successor_count = 3;
      for (const auto& member : views) {
        if (member) view.members.push_back(*member);
      }
      ASSERT_EQ(checker.principals(), Principals(view).size()) << "seed " << seed << "\n" << Describe(view);
    }
  }
}

// A ring of real cores under churn within the failure assumption: both checkers see the same after every change.
TEST(FastChecker, SaysWhatTheSnapshotCheckerSaysAtEveryChangeOfARing) {
  constexpr size_t kNodes = 30;
  World::Options options;
  options.ring.successor_count = 3;
  options.watch_steps = true;
  World world(options);
  std::vector<overlay::NodeId> points;
  for (size_t i = 0; i < 2 * kNodes; ++i) points.push_back(world.nodes()[world.Add()].peer.point);
  world.StartAlone(0);
  for (size_t i = 1; i < kNodes; ++i) {
    world.StartJoin(i, {0});
    world.RunFor(absl::Seconds(1));
  }
  ASSERT_TRUE(world.RunUntilIdeal(absl::Minutes(5)));
  FastChecker checker(points, 3);
  for (size_t i = 0; i < kNodes; ++i) checker.Set(points[i], &*world.nodes()[i].view, /*died=*/false);
  int changes = 0;
  world.on_view = [&](size_t at) {
    const World::Node& node = world.nodes()[at];
    checker.Set(node.peer.point, node.view ? &*node.view : nullptr, /*died=*/node.ring == nullptr);
    ++changes;
    ASSERT_EQ(checker.principals(), Principals(world.View()).size());
    ASSERT_EQ(checker.Check(node.peer.point).ok(), CheckInvariant(world.View(), 4).ok()) << world.Dump();
  };
  for (int event = 0; event < 300; ++event) {
    world.RunFor(absl::Milliseconds(500) * world.rng().Unit());
    const size_t at = world.rng().Below(2 * kNodes);
    if (world.ring(at) == nullptr) {
      world.StartJoin(at, world.LiveNodes());
      continue;
    }
    const bool may = MayFail(world.View(), points[at], 4);
    EXPECT_EQ(checker.MayFail(points[at]), may);
    if (may && world.LiveNodes().size() > kNodes / 2) world.Crash(at);
  }
  EXPECT_GT(changes, 1000);
}

MemberView Full(size_t at) { return {Point(at), {Point((at + 1) % 8), Point((at + 2) % 8), Point((at + 3) % 8)}, std::nullopt}; }

TEST(FastChecker, SeesALostPrincipalAShortListAndADeadOne) {
  std::vector<overlay::NodeId> points;
  for (size_t i = 0; i < 8; ++i) points.push_back(Point(i));
  const auto ring = [&] {
    FastChecker checker(points, 3);
    for (size_t i = 0; i < 8; ++i) {
      const MemberView view = Full(i);
      checker.Set(Point(i), &view, /*died=*/false);
    }
    return checker;
  };
  FastChecker good = ring();
  EXPECT_TRUE(good.Check(Point(0)).ok());
  EXPECT_TRUE(good.MayFail(Point(3)));
  FastChecker skips = ring();
  const MemberView past = {Point(0), {Point(2), Point(3), Point(4)}, std::nullopt};
  skips.Set(Point(0), &past, /*died=*/false);
  EXPECT_FALSE(skips.Check(Point(0)).ok());
  FastChecker cut = ring();
  const MemberView short_list = {Point(0), {Point(1)}, std::nullopt};
  cut.Set(Point(0), &short_list, /*died=*/false);
  EXPECT_FALSE(cut.Check(Point(0)).ok());
  FastChecker mixed = ring();
  const MemberView out_of_order = {Point(0), {Point(1), Point(3), Point(2)}, std::nullopt};
  mixed.Set(Point(0), &out_of_order, /*died=*/false);
  EXPECT_FALSE(mixed.Check(Point(0)).ok());
  FastChecker gone = ring();
  gone.Set(Point(1), nullptr, /*died=*/false);
  EXPECT_FALSE(gone.Check(Point(1)).ok());
  FastChecker few = ring();
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(few.MayFail(Point(2 * i)));
    few.Set(Point(2 * i), nullptr, /*died=*/true);
  }
  EXPECT_FALSE(few.MayFail(Point(1)));
}

}  // namespace
}  // namespace sim
