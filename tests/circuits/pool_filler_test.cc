// SPDX-License-Identifier: Apache-2.0
// The secret pool in whole drivers: filled through circuits in a ring that no table covers, used, kept over a restart.
#include <map>
#include <regex>

#include "base/byte_reader.h"
#include "gtest/gtest.h"
#include "overlay/address_prefix.h"
#include "tests/circuits/fake_network.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

bool RunUntilPooled(FakeNetwork& net, size_t node, size_t relays, absl::Duration limit) {
  const absl::Time end = net.loop.Now() + limit;
  while (net.stats(node).pooled_relays < relays && net.loop.Now() < end) net.loop.RunFor(absl::Seconds(5));
  return net.stats(node).pooled_relays >= relays;
}

TEST(PoolFiller, FillsThePoolAndCircuitsComeOutOfIt) {
  FakeNetwork net(31);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(47);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  net.loop.RunFor(kKeepRelaysEvery);
  for (int i = 0; i < 5; ++i) {
    const FakeNetwork::Outcome outcome = net.Operate(user, overlay::NodeId::Random(net.rng()));
    ASSERT_OK(outcome.opened);
    ASSERT_OK(outcome.answer);
    NodeKeys distinct(outcome.opened->path.begin(), outcome.opened->path.end());
    distinct.insert(outcome.opened->storage_node);
    distinct.insert(net.node_key(user));
    EXPECT_EQ(distinct.size(), 5u);
  }
  const size_t before = net.stats(user).pooled_relays;
  net.loop.RunFor(kKeepRelaysEvery);
  net.Kill(user);
  net.Restart(user);
  EXPECT_GE(net.stats(user).pooled_relays + 2, before) << "kept over the restart";
}

// The pool as the node last gave it to be kept.
RelayPool KeptPool(FakeNetwork& net, size_t node) {
  RelayPool pool(net.rng());
  base::ByteReader reader(net.kept_relays(node));
  reader.Long();
  EXPECT_OK(pool.Decode(net.network, reader.Rest(), net.loop.Now(), net.loop.WallNow()));
  return pool;
}

// Of descriptors; then all are described anew, and there is time to fetch them. Returns when.
absl::Time LiveThroughHalfALife(FakeNetwork& net) {
  net.loop.RunFor(absl::Minutes(62));
  net.DescribeAnew();
  const absl::Time anew = net.loop.WallNow();
  net.loop.RunFor(absl::Minutes(25));
  return anew;
}

// At half their life, long before draws find the same relays again.
TEST(PoolFiller, RenewsDescriptorsOfTheRelaysItHas) {
  FakeNetwork net(32);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(47);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  const absl::Time anew = LiveThroughHalfALife(net);
  size_t old = 0, renewed = 0;
  const RelayPool pool = KeptPool(net, user);
  for (const RelayPool::Relay& relay : pool.relays()) {
    if (relay.since >= anew) continue;
    ++old;
    renewed += relay.descriptor.issued >= anew - absl::Seconds(1);
  }
  EXPECT_GE(old, kPoolUsable);
  EXPECT_GE(renewed * 4, old * 3) << old;
}

// Those that are no hop of the guard's circuits otherwise.
TEST(PoolFiller, NoRelayBesideTheGuardEndsACircuitThatRenewsIt) {
  FakeNetwork net(37);
  net.network.distinct_prefixes = true;
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(47);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  const absl::Time anew = LiveThroughHalfALife(net);
  GuardSet guards(net.rng());
  base::ByteReader reader(net.kept_relays(user));
  ASSERT_OK(guards.Decode(net.network, reader.Long()));
  const std::string beside = overlay::PrefixOf(guards.guards().front().peer.address);
  size_t old[2] = {0, 0}, renewed[2] = {0, 0};
  const RelayPool pool = KeptPool(net, user);
  for (const RelayPool::Relay& relay : pool.relays()) {
    if (relay.since >= anew) continue;
    const bool is_beside = overlay::PrefixOf(relay.descriptor.address) == beside;
    ++old[is_beside];
    renewed[is_beside] += relay.descriptor.issued >= anew - absl::Seconds(1);
  }
  EXPECT_GE(renewed[false] * 4, old[false] * 3) << old[false];
  EXPECT_GE(old[true], 3u);
  EXPECT_LE(renewed[true] * 2, old[true]) << old[true] << ": the guard itself, and what draws have found again";
}

TEST(PoolFiller, TheFirstGuardIsKeptAtOnce) {
  FakeNetwork net(34);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(9);
  ASSERT_OK(net.Operate(user, overlay::NodeId::Random(net.rng())).answer);
  net.loop.RunFor(2 * kFirstGuardLook);
  GuardSet guards(net.rng());
  base::ByteReader reader(net.kept_relays(user));
  ASSERT_OK(guards.Decode(net.network, reader.Long()));
  EXPECT_EQ(guards.guards().size(), 1u);
}

TEST(PoolFiller, WhoSignsWhatCannotBeTrueIsNoRelay) {
  FakeNetwork net(35);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(119);
  const auto is_liar = [](size_t node) { return node % 5 == 4; };
  for (size_t i = 0; i < net.size(); ++i) net.Lie(i, is_liar(i) ? 3 : 1);
  net.DrawTables();
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  net.loop.RunFor(kKeepRelaysEvery);
  const RelayPool pool = KeptPool(net, user);
  const auto liars = std::count_if(pool.relays().begin(), pool.relays().end(), [&](const RelayPool::Relay& relay) {
    return is_liar(net.IndexOf(relay.descriptor.node_key));
  });
  EXPECT_LE(liars, 1)
      << "in a ring so small the first few tables, of liars too, are the density; without the check three or four get in";
  ASSERT_OK(net.Operate(user, overlay::NodeId::Random(net.rng())).answer);
}

// A guard sees four lookups and an operation where one was asked for: of each the cells and their directions, one after the
// other.
TEST(PoolFiller, ALookupIsOneOfFourThatLookAlike) {
  std::map<overlay::CircuitId, std::string> circuits;
  std::vector<overlay::CircuitId> order;  // as they begin
  FakeNetwork net(36);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(119);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  net.loop.RunFor(kKeepRelaysEvery);
  net.on_cell = [&](size_t from, size_t to, const overlay::Cell& cell) {
    if (from != user && to != user) return;
    std::string& seen = circuits[cell.circuit_id()];
    if (seen.empty()) order.push_back(cell.circuit_id());
    const bool early = cell.command() == overlay::CellCommand::kRelayEarly,
               relay = cell.command() == overlay::CellCommand::kRelay;
    seen += to == user ? '.' : early ? 'E' : relay ? 'q' : 'c';
  };
  const std::regex lookup("(c\\.E\\.E\\.)?q\\.\\.+(E\\.q\\.\\.+|q\\.+)*"), operation("(c\\.E\\.E\\.)?E\\.q\\.");
  std::array<double, kDummiesPerLookup + 1> extends{};  // of the first that began, the second ...
  int lookups_seen = 0, others = 0;
  constexpr int kRounds = 40;
  for (int i = 0; i < kRounds; ++i) {
    net.Kill(user);  // what was learnt is forgotten, the pool is kept
    net.Restart(user);
    net.DescribeAnew();
    circuits.clear();
    order.clear();
    ASSERT_OK(net.Operate(user, overlay::NodeId::Random(net.rng())).answer);
    std::vector<std::string> lookups;
    for (const overlay::CircuitId id : order) {
      if (std::regex_match(circuits[id], lookup)) lookups.push_back(circuits[id]);
      others += !std::regex_match(circuits[id], lookup) && !std::regex_match(circuits[id], operation);
    }
    if (lookups.size() != extends.size()) continue;
    ++lookups_seen;
    for (size_t k = 0; k < lookups.size(); ++k)
      extends[k] += static_cast<double>(std::count(lookups[k].begin(), lookups[k].end(), 'q'));
  }
  EXPECT_GE(lookups_seen, kRounds / 3) << "many points are known from the own table, or from the first that was fetched";
  EXPECT_LE(others, kRounds / 4);
  for (const double of_rank : extends) EXPECT_NEAR(of_rank / extends[0], 1, 0.4);
}

// 50 ms a link: with a lookup, whose circuits or the operation's had to be built, it would be more than three seconds.
TEST(PoolFiller, AWarmNodeOfASmallRingWaitsForNoLookup) {
  FakeNetwork net(38);
  const size_t user = net.AddNode(overlay::Role::kStoring, /*ready_circuits=*/2, /*keeps_relays=*/true);
  net.AddNodes(99);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  net.link_delay = absl::Milliseconds(50);
  net.DescribeAnew();
  net.loop.RunFor(absl::Minutes(6));
  EXPECT_GE(net.stats(user).ready, 2u + kDummiesPerLookup) << "and one for each lookup of four, less what was taken just now";
  int quick = 0;
  constexpr int kOperations = 20;
  for (int i = 0; i < kOperations; ++i) {
    if (i % 4 == 0) net.DescribeAnew();
    net.loop.RunFor(absl::Minutes(1));
    const absl::Time begun = net.loop.Now();
    const FakeNetwork::Outcome outcome = net.Operate(user, overlay::NodeId::Random(net.rng()));
    ASSERT_OK(outcome.answer);
    EXPECT_LE(outcome.when - begun, absl::Milliseconds(2500));
    quick += outcome.when - begun <= absl::Milliseconds(1200);
  }
  EXPECT_GE(quick, kOperations - 2);
}

TEST(PoolFiller, HasNothingToDoWhereATableCoversTheRing) {
  FakeNetwork net(33);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(9);
  net.loop.RunFor(absl::Minutes(5));
  EXPECT_EQ(net.stats(user).pooled_relays, 0u);
  EXPECT_EQ(net.stats(user).built, 0u);
  ASSERT_OK(net.Operate(user, overlay::NodeId::Random(net.rng())).answer);
}

}  // namespace
}  // namespace circuits
