// SPDX-License-Identifier: Apache-2.0
// How often the checks of circuits/table_check.h refuse an honest table: live rings of real cores under churn. Half of the nodes
// die within an hour, and as many join. Many rings and few looks at each: tables of one ring are held against one density and
// change slowly, so that looking again and again at two rings says nothing.
#include <gtest/gtest.h>

#include "circuits/ring_density.h"
#include "circuits/table_check.h"
#include "tests/sim/world.h"

namespace sim {
namespace {

constexpr size_t kNodes = 160;
constexpr uint64_t kRings = 12;
constexpr double kDeathsPerMinute = kNodes * 0.693 / 60;

overlay::RoutingTable TableOf(const World& world, size_t node) {
  const overlay::Ring& ring = *world.ring(node);
  overlay::RoutingTable table;
  table.owner = world.nodes()[node].peer;
  table.fingers = ring.fingers().Distinct();
  table.successors = ring.FarSuccessors();
  table.predecessors = ring.FarPredecessors();
  return table;
}

std::vector<size_t> Members(const World& world) {
  std::vector<size_t> members;
  for (size_t node : world.LiveNodes()) {
    if (world.ring(node)->IsMember()) members.push_back(node);
  }
  return members;
}

struct Counts {
  int tables = 0, refused = 0, claims = 0, claims_refused = 0;
};

// All tables of one moment, each held against the density that a client gathers from tables of that moment.
void Look(World& world, Counts& counts) {
  const std::vector<size_t> members = Members(world);
  circuits::RingDensity density;
  for (int i = 0; i < 60; ++i) density.Add(TableOf(world, members[world.rng().Below(members.size())]), world.now());
  const double gap = *density.MeanGap(world.now());
  for (size_t node : members) {
    const overlay::RoutingTable table = TableOf(world, node);
    const absl::Status status = circuits::CheckTable(table, gap);
    ++counts.tables;
    counts.refused += !status.ok();
    if (table.predecessors.empty()) continue;
    const overlay::NodeId x = table.predecessors.front().point.PlusOne();
    ++counts.claims;
    counts.claims_refused += !circuits::CheckClaim(x, table, gap).ok();
  }
}

TEST(TableCheckSim, RefusesAtMostOneHonestTableInAThousandUnderChurn) {
  Counts counts;
  for (uint64_t seed = 1; seed <= kRings; ++seed) {
    World::Options options;
    options.seed = seed;
    options.ring = overlay::Ring::Options::Of(overlay::Network::Local(), overlay::Role::kStoring);
    options.trace_max = 0;
    World world(options);
    world.Grow(kNodes);
    world.RunFor(absl::Minutes(1));
    for (int step = 1; step <= 60; ++step) {  // ten minutes
      world.RunFor(absl::Seconds(10));
      if (world.rng().Unit() * 6 < kDeathsPerMinute) {
        const std::vector<size_t> members = Members(world);
        world.Crash(members[world.rng().Below(members.size())]);
        world.StartJoin(world.Add(), {members[world.rng().Below(members.size())]});
      }
      if (step % 30 == 0) Look(world, counts);
    }
  }
  RecordProperty("tables", counts.tables);
  RecordProperty("refused", counts.refused);
  RecordProperty("claims_refused", counts.claims_refused);
  EXPECT_GT(counts.tables, 3500);
  EXPECT_LE(counts.refused, counts.tables / 1000);
  EXPECT_LE(counts.claims_refused, counts.claims / 1000);
}

}  // namespace
}  // namespace sim
