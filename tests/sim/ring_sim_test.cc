// SPDX-License-Identifier: Apache-2.0
// Whole rings of real cores: Zave's invariant after every step under churn, repair to the ideal ring, and ways back in.
// The seed is the test's parameter: a failure prints the filter that replays it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace sim {
namespace {

using overlay::NodeId;
using overlay::RingState;

// More seeds than the build runs each time: BULBIL_SIM_SEEDS=2000.
int SeedCount(int usual) {
  const char* wanted = std::getenv("BULBIL_SIM_SEEDS");
  return wanted != nullptr ? std::atoi(wanted) : usual;
}

std::string Replay(uint64_t seed) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  return absl::StrCat("replay: sim_test --gtest_filter=", test->test_suite_name(), ".", test->name(), "  (seed ", seed, ")");
}

NodeId PointAt(int eighth) {  // 0..255: the first byte of the point
  NodeId point;
  point.bytes[0] = static_cast<uint8_t>(eighth);
  point.bytes[31] = 1;
  return point;
}

World::Options SmallOptions(uint64_t seed, int successor_count) {
  World::Options options;
  options.seed = seed;
  options.ring.successor_count = successor_count;
  options.watch_steps = true;
  return options;
}

// Checks after every step; a principal may go only because it failed.
class StepChecker {
 public:
  StepChecker(World& world, int principals_min) : world_(world), principals_min_(principals_min) {
    principals_ = Principals(world.View());
    world.on_step = [this] { Check(); };
  }
  ~StepChecker() { world_.on_step = nullptr; }

  // Before a crash: whether the failure assumption allows it.
  bool MayFail(size_t node) const { return sim::MayFail(world_.View(), world_.nodes()[node].peer.point, principals_min_); }
  void Crash(size_t node) {
    world_.Crash(node);
    std::erase(principals_, world_.nodes()[node].peer.point);
  }
  const std::string& broken() const { return broken_; }
  uint64_t steps() const { return steps_; }

 private:
  void Check() {
    if (!broken_.empty()) return;
    ++steps_;
    const RingView view = world_.View();
    const absl::Status status = CheckInvariant(view, principals_min_);
    std::vector<NodeId> principals = Principals(view);
    if (!status.ok()) broken_ = absl::StrCat(status.message());
    if (!std::includes(principals.begin(), principals.end(), principals_.begin(), principals_.end())) {
      absl::StrAppend(&broken_, " a principal was lost without failing");
    }
    if (!broken_.empty()) absl::StrAppend(&broken_, " at step ", steps_, "\n", world_.Dump());
    principals_ = std::move(principals);
  }

  World& world_;
  const int principals_min_;
  std::vector<NodeId> principals_;
  std::string broken_;
  uint64_t steps_ = 0;
};

struct Churn {
  int events = 100;
  absl::Duration pause = absl::Milliseconds(400);  // mean time between events
  size_t live_min = 0, live_max = 0;
};

// Joins, crashes and returns at random, never against the failure assumption.
void RunChurn(World& world, StepChecker& checker, const Churn& churn) {
  for (int i = 0; i < churn.events && checker.broken().empty(); ++i) {
    world.RunFor(churn.pause * 2 * world.rng().Unit());
    const std::vector<size_t> live = world.LiveNodes();
    const bool join = live.size() <= churn.live_min || (live.size() < churn.live_max && world.rng().Below(2) == 0);
    const size_t chosen = live[world.rng().Below(live.size())];
    if (!join) {
      if (checker.MayFail(chosen)) checker.Crash(chosen);
      continue;
    }
    std::vector<size_t> dead;
    for (size_t n = 0; n < world.nodes().size(); ++n) {
      if (world.ring(n) == nullptr) dead.push_back(n);
    }
    const bool returns = !dead.empty() && world.rng().Below(3) == 0;
    const size_t node = returns ? dead[world.rng().Below(dead.size())] : world.Add();
    world.StartJoin(node, {chosen, live[world.rng().Below(live.size())]});
  }
}

class RingSeeds : public testing::TestWithParam<int> {
 protected:
  uint64_t seed() const { return static_cast<uint64_t>(GetParam()); }
};

// --- Zave's invariant under churn ---

class RingChurn : public RingSeeds {};

TEST_P(RingChurn, KeepsTheInvariantWith64NodesAndListsOfEight) {
  SCOPED_TRACE(Replay(seed()));
  World world(SmallOptions(seed(), 8));
  world.Grow(64);
  StepChecker checker(world, 9);
  RunChurn(world, checker, {.events = 120, .pause = absl::Milliseconds(150), .live_min = 40, .live_max = 80});
  ASSERT_EQ(checker.broken(), "");
  EXPECT_TRUE(world.RunUntilIdeal(absl::Minutes(2))) << CheckIdeal(world.View()) << "\n" << world.Dump();
  ASSERT_EQ(checker.broken(), "");
  EXPECT_GT(checker.steps(), 500u);
}

TEST_P(RingChurn, KeepsTheInvariantAtTheEdgeOfTheProof) {
  SCOPED_TRACE(Replay(seed()));
  World world(SmallOptions(seed() + 1000, 3));
  world.Grow(5);
  StepChecker checker(world, 4);
  RunChurn(world, checker, {.events = 250, .pause = absl::Milliseconds(300), .live_min = 4, .live_max = 9});
  ASSERT_EQ(checker.broken(), "");
  EXPECT_TRUE(world.RunUntilIdeal(absl::Minutes(2))) << CheckIdeal(world.View()) << "\n" << world.Dump();
  ASSERT_EQ(checker.broken(), "");
}

TEST_P(RingChurn, KeepsOneRingInBootstrapMode) {
  SCOPED_TRACE(Replay(seed()));
  World world(SmallOptions(seed() + 2000, 8));
  world.Grow(3);
  StepChecker checker(world, 1);
  RunChurn(world, checker, {.events = 150, .pause = absl::Milliseconds(400), .live_min = 2, .live_max = 7});
  ASSERT_EQ(checker.broken(), "");
  EXPECT_TRUE(world.RunUntilIdeal(absl::Minutes(2))) << CheckIdeal(world.View()) << "\n" << world.Dump();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RingChurn, testing::Range(0, SeedCount(25)));

}  // namespace
}  // namespace sim
