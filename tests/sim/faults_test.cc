// SPDX-License-Identifier: Apache-2.0
// What networks and machines do to a ring beyond dying: messages twice, late and out of order, partitions of several sides and of
// one direction, sleep, restarts, wrong clocks, a second process under one key.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace sim {
namespace {

class Faults : public testing::TestWithParam<int> {
 protected:
  World::Options Options(int successor_count) const {
    World::Options options;
    options.seed = static_cast<uint64_t>(GetParam());
    options.ring.successor_count = successor_count;
    options.watch_steps = true;
    return options;
  }
  static void ExpectIdeal(World& world, size_t members, absl::Duration limit) {
    const auto ideal = [&] { return world.View().members.size() == members && CheckIdeal(world.View()).ok(); };
    EXPECT_TRUE(world.RunUntil(ideal, limit)) << CheckIdeal(world.View()) << "\n"
                                              << "replay: build/release/tests/sim/sim_test --gtest_filter=Seeds/Faults."
                                              << testing::UnitTest::GetInstance()->current_test_info()->name() << "\n"
                                              << world.Dump();
  }
};

// Within the proof: all arrive in time, though in any order and some twice.
TEST_P(Faults, DuplicatesAndLateMessagesBreakNothing) {
  World::Options options = Options(3);
  options.duplicate = options.late = 0.2;
  World world(options);
  world.Grow(6);
  std::string broken;
  world.on_step = [&] {
    const absl::Status status = CheckInvariant(world.View(), 4);
    if (!status.ok() && broken.empty()) broken = absl::StrCat(status.message(), "\n", world.Dump());
  };
  for (int i = 0; i < 60; ++i) {
    world.RunFor(absl::Milliseconds(700) * world.rng().Unit());
    const std::vector<size_t> live = world.LiveNodes();
    const size_t chosen = live[world.rng().Below(live.size())];
    if (live.size() < 9 && world.rng().Below(2) == 0) {
      world.StartJoin(world.Add(), {chosen});
    } else if (MayFail(world.View(), world.nodes()[chosen].peer.point, 4)) {
      world.Crash(chosen);
    }
  }
  ExpectIdeal(world, world.LiveNodes().size(), absl::Minutes(2));
  EXPECT_EQ(broken, "");
}

TEST_P(Faults, ClocksThatAreWrongChangeNothing) {
  World::Options options = Options(4);
  options.clock_drift = 0.1;
  World world(options);
  world.Grow(12);
  for (int i = 0; i < 3; ++i) world.Crash(world.LiveNodes()[world.rng().Below(world.LiveNodes().size())]);
  for (int i = 0; i < 3; ++i) world.StartJoin(world.Add(), {world.LiveNodes().front()});
  ExpectIdeal(world, 12, absl::Minutes(1));
}

TEST_P(Faults, APartitionOfThreeSidesHeals) {
  World world(Options(4));
  world.Grow(18);
  for (const size_t node : world.LiveNodes()) world.SetSide(node, static_cast<int>(world.rng().Below(3)));
  world.RunFor(absl::Minutes(1));
  world.Heal();
  ExpectIdeal(world, 18, absl::Minutes(10));
}

TEST_P(Faults, APartitionInOneDirectionHeals) {
  World world(Options(4));
  world.Grow(16);
  for (const size_t node : world.LiveNodes()) world.SetSide(node, static_cast<int>(world.rng().Below(2)));
  world.OpenWay(0, 1);  // what side 1 answers is not heard
  world.RunFor(absl::Minutes(1));
  world.Heal();
  ExpectIdeal(world, 16, absl::Minutes(10));
}

TEST_P(Faults, WhoSleptComesBack) {
  World world(Options(4));
  world.Grow(12);
  const std::vector<size_t> live = world.LiveNodes();
  for (size_t i = 0; i < 3; ++i) world.Pause(live[4 * i + world.rng().Below(4)]);
  world.RunFor(absl::Seconds(1) + absl::Minutes(1) * world.rng().Unit());
  for (const size_t node : live) {
    if (world.nodes()[node].paused) world.Resume(node);
  }
  ExpectIdeal(world, 12, absl::Minutes(5));
}

TEST_P(Faults, RestartsAreSurvivedWithOldAndWithLostState) {
  World::Options options = Options(4);
  options.bootstrap_knows_members = false;  // who has its old state needs no help
  World world(options);
  world.Grow(10);
  const std::vector<size_t> live = world.LiveNodes();
  world.RestartWithOldState(live[1]);
  world.RunFor(absl::Seconds(5) * world.rng().Unit());
  world.Crash(live[2]);
  world.StartJoin(live[2], {live[0]});
  world.RestartWithOldState(live[3]);
  ExpectIdeal(world, 10, absl::Minutes(1));
}

TEST_P(Faults, AllMayRestartAtOnceIfSomeFoundsTheRingAnew) {
  World::Options options = Options(4);
  options.bootstrap_knows_members = false;
  World world(options);
  world.Grow(8);
  for (const size_t node : world.LiveNodes()) world.Pause(node);
  world.RunFor(absl::Hours(1));  // a machine that sleeps, with all of them
  for (const size_t node : world.LiveNodes()) world.Resume(node);
  ExpectIdeal(world, 8, absl::Minutes(2));
}

TEST_P(Faults, ASecondProcessUnderOneKeyIsNoMember) {
  World world(Options(4));
  world.Grow(8);
  const std::vector<size_t> live = world.LiveNodes();
  const size_t twin = world.AddTwin(live[3]);
  world.StartJoin(twin, {live[0]});
  bool was_member = false;
  world.RunUntil([&] { return was_member = world.ring(twin)->IsMember(); }, absl::Minutes(2));
  EXPECT_FALSE(was_member) << world.Dump();
  ExpectIdeal(world, 8, absl::Seconds(30));
  world.Crash(live[3]);  // now the place is free
  ExpectIdeal(world, 8, absl::Seconds(30));
  EXPECT_TRUE(world.ring(twin)->IsMember());
}

TEST_P(Faults, LeaversOneAfterTheOtherAreMissedByNobody) {
  World world(Options(4));
  world.Grow(12);
  for (int i = 0; i < 6; ++i) {
    const std::vector<size_t> live = world.LiveNodes();
    world.Leave(live[world.rng().Below(live.size())]);
    world.RunFor(absl::Seconds(1));
  }
  ExpectIdeal(world, 6, absl::Seconds(30));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Faults, testing::Range(0, 8));

}  // namespace
}  // namespace sim
