// SPDX-License-Identifier: Apache-2.0
// Choice of hops, the walk, the ring view, and the small parts around them.
#include "overlay/address_prefix.h"
#include "circuits/circuit_pool.h"
#include "circuits/circuit_table.h"
#include "circuits/ring_view.h"
#include "circuits/table_lookup.h"
#include "circuits/table_walk.h"
#include "circuits/token_bucket.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::NodeId;
using overlay::Peer;
using overlay::Role;
using overlay::RoutingTable;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

// A quiet ring of signed tables and descriptors.
struct Ring {
  Ring(size_t count, uint64_t seed, size_t neighbours = overlay::kTableNeighbours)
      : rng(seed), directory(network), book(directory) {
    for (size_t i = 0; i < count; ++i) {
      signing_keys.push_back(keys::SigningKey::Generate(rng));
      const std::string address = "127." + std::to_string(i % 200) + ".0.1:" + std::to_string(1000 + i);
      descriptors.push_back(
          overlay::SignDescriptor(network, signing_keys[i], {}, i % 5 == 0 ? Role::kRelay : Role::kStoring, address, {}, kNow));
      peers.push_back(descriptors[i].ToPeer(network));
      EXPECT_OK(directory.Add(descriptors[i].encoded, kNow));
    }
    std::sort(peers.begin(), peers.end(), [](const Peer& a, const Peer& b) { return a.point < b.point; });
    for (size_t i = 0; i < count; ++i) tables.push_back(Draw(i, neighbours));
  }
  RoutingTable Draw(size_t me, size_t neighbours) {
    RoutingTable table;
    table.owner = peers[me];
    const size_t n = peers.size();
    for (size_t k = 1; k <= std::min(neighbours, n - 1); ++k) {
      table.successors.push_back(peers[(me + k) % n]);
      table.predecessors.push_back(peers[(me + n - k) % n]);
    }
    for (size_t step = 1; step < n; step *= 2) {
      table.fingers.push_back({static_cast<uint8_t>(table.fingers.size()), peers[(me + step) % n]});
    }
    return table;
  }
  const RoutingTable& TableOf(const keys::PublicKey& node_key) const {
    return *std::find_if(tables.begin(), tables.end(), [&](const auto& t) { return t.owner.node_key == node_key; });
  }

  overlay::Network network;
  support::SeededRng rng;
  overlay::Directory directory;
  PeerBook book;
  std::vector<keys::SigningKey> signing_keys;
  std::vector<overlay::Descriptor> descriptors;
  std::vector<Peer> peers;
  std::vector<RoutingTable> tables;
};

TEST(PathSelector, ChoosesUniformlyAmongTheFingers) {
  Ring ring(64, 1);
  std::map<NodeId, int> chosen;
  for (int i = 0; i < 6000; ++i) ++chosen[ChooseHop(ring.tables[3], {}, ring.rng)->point];
  ASSERT_EQ(chosen.size(), ring.tables[3].fingers.size());
  for (const auto& [point, times] : chosen) EXPECT_NEAR(times, 6000 / static_cast<int>(chosen.size()), 200);
}

TEST(PathSelector, FallsBackToAllMembersAndAtLastToTheShunned) {
  Ring ring(5, 2);
  HopRules rules;
  for (const Peer& peer : ring.peers) rules.never.insert(peer.node_key);
  EXPECT_FALSE(ChooseHop(ring.tables[0], rules, ring.rng).has_value());
  rules.never.erase(ring.peers[4].node_key);
  EXPECT_EQ(ChooseHop(ring.tables[0], rules, ring.rng)->point, ring.peers[4].point);
  rules.shun.insert(ring.peers[4].node_key);
  EXPECT_EQ(ChooseHop(ring.tables[0], rules, ring.rng)->point, ring.peers[4].point);
  rules.never.erase(ring.peers[3].node_key);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ChooseHop(ring.tables[0], rules, ring.rng)->point, ring.peers[3].point);
}

TEST(TableWalk, HopsAreDistinctAndAllowedOverRandomRings) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Ring ring(4 + seed % 60, seed, 3 + seed % 14);
    const keys::PublicKey own = ring.peers[0].node_key, storage = ring.peers[1].node_key;
    HopRules rules{.never = {own, storage}, .shun = {}, .distinct_prefixes = seed % 2 == 0, .prefixes = {}};
    TableWalk walk({.rules = rules}, ring.book, ring.rng);
    const std::optional<Peer> guard = ChooseHop(ring.tables[0], walk.GuardRules(), ring.rng);
    if (!guard.has_value()) continue;
    WalkStep step = walk.OnHop(guard->node_key, guard->address, kNow, kNow);
    while (!std::holds_alternative<WalkReady>(step) && !std::holds_alternative<WalkFailed>(step)) {
      if (const auto* extend = std::get_if<ExtendStep>(&step)) {
        step = walk.OnHop(extend->target.node_key, extend->target.address, kNow, kNow);
      } else {
        ASSERT_EQ(std::get<TableStep>(step).hop + 1, walk.path().size());
        step = walk.OnTable(ring.TableOf(walk.path().back()), kNow, kNow);
      }
    }
    if (ring.peers.size() < 5) {
      EXPECT_TRUE(std::holds_alternative<WalkFailed>(step));
      continue;
    }
    ASSERT_TRUE(std::holds_alternative<WalkReady>(step)) << seed;
    NodeKeys distinct(walk.path().begin(), walk.path().end());
    distinct.insert({own, storage});
    EXPECT_EQ(distinct.size(), 5u) << seed;
  }
}

TEST(TableWalk, LeavesTheHoldersOfThePlaceOutWhereItCan) {
  Ring ring(9, 8);
  NodeKeys holders;
  for (size_t i = 5; i < 9; ++i) holders.insert(ring.peers[i].node_key);
  for (int round = 0; round < 100; ++round) {
    const TableWalk::Options options{.rules = {.never = {ring.peers[0].node_key}}, .holders = holders};
    TableWalk walk(options, ring.book, ring.rng);
    const Peer guard = *ChooseHop(ring.tables[0], walk.GuardRules(), ring.rng);
    EXPECT_FALSE(holders.contains(guard.node_key));
    WalkStep step = walk.OnHop(guard.node_key, guard.address, kNow, kNow);
    while (!std::holds_alternative<WalkReady>(step)) {
      if (const auto* extend = std::get_if<ExtendStep>(&step)) {
        EXPECT_FALSE(holders.contains(extend->target.node_key));
        step = walk.OnHop(extend->target.node_key, extend->target.address, kNow, kNow);
      } else {
        step = walk.OnTable(ring.TableOf(walk.path().back()), kNow, kNow);
      }
    }
  }
}

TEST(TableWalk, TakesHopsOutOfTheChoicesAndFetchesNoTable) {
  Ring ring(40, 18);
  std::map<NodeId, int> chosen;
  const std::vector<Peer> pool(ring.peers.begin(), ring.peers.begin() + 10);
  for (int round = 0; round < 3000; ++round) {
    TableWalk walk({.rules = {.never = {ring.peers[0].node_key}}, .choices = pool}, ring.book, ring.rng);
    WalkStep step = walk.OnHop(ring.peers[1].node_key, ring.peers[1].address, kNow, kNow);
    while (!std::holds_alternative<WalkReady>(step)) {
      const auto& target = std::get<ExtendStep>(step).target;
      ++chosen[target.ToPeer(ring.network).point];
      step = walk.OnHop(target.node_key, target.address, kNow, kNow);
    }
  }
  EXPECT_EQ(chosen.size(), 8u);  // neither the own node nor the guard
  for (const auto& [point, times] : chosen) EXPECT_NEAR(times, 750, 120);
}

TEST(TableWalk, WhoRefusesIsNoHopBehindTheGuardWhileThereAreOthers) {
  Ring ring(40, 19);
  const std::vector<Peer> pool(ring.peers.begin(), ring.peers.begin() + 6);
  const NodeKeys refusing = {pool[2].node_key, pool[3].node_key, pool[4].node_key};
  for (const bool too_few : {false, true}) {
    NodeKeys met;
    for (int round = 0; round < 300; ++round) {
      TableWalk walk({.rules = {.never = {pool[0].node_key, too_few ? pool[5].node_key : pool[0].node_key}},
                      .choices = pool,
                      .refusing = refusing},
                     ring.book, ring.rng);
      EXPECT_TRUE(walk.GuardRules().shun.empty()) << "a guard is kept or chosen by its own circuits";
      WalkStep step = walk.OnHop(ring.peers[20].node_key, ring.peers[20].address, kNow, kNow);
      while (const auto* extend = std::get_if<ExtendStep>(&step)) {
        const overlay::Descriptor target = extend->target;
        met.insert(target.node_key);
        step = walk.OnHop(target.node_key, target.address, kNow, kNow);
      }
      EXPECT_TRUE(std::holds_alternative<WalkReady>(step));
    }
    EXPECT_EQ(met.contains(pool[2].node_key), too_few);
  }
}

TEST(TableWalk, ATableThatTheRingsDensityForbidsEndsIt) {
  Ring ring(200, 19);
  RoutingTable table = ring.tables[7];
  TableWalk walk({.mean_gap = 1.0 / 200}, ring.book, ring.rng);
  walk.OnHop(ring.peers[7].node_key, ring.peers[7].address, kNow, kNow);
  for (size_t i = 0; i < 16; ++i) table.successors[i] = ring.peers[(7 + 5 * (i + 1)) % 200];
  EXPECT_TRUE(std::holds_alternative<WalkFailed>(walk.OnTable(table, kNow, kNow)));
}

TEST(TableWalk, RefusesATableThatIsNotTheHops) {
  Ring ring(8, 5);
  TableWalk walk({}, ring.book, ring.rng);
  walk.OnHop(ring.peers[1].node_key, ring.peers[1].address, kNow, kNow);
  EXPECT_TRUE(std::holds_alternative<WalkFailed>(walk.OnTable(ring.tables[2], kNow, kNow)));
}

TEST(TableWalk, AsksForAllMissingDescriptorsWhereTheTableCoversTheRing) {
  Ring ring(12, 6);
  overlay::Directory empty(ring.network);
  PeerBook book(empty);
  TableWalk walk({}, book, ring.rng);
  walk.OnHop(ring.peers[1].node_key, ring.peers[1].address, kNow, kNow);
  const WalkStep step = walk.OnTable(ring.tables[1], kNow, kNow);
  EXPECT_EQ(std::get<DescriptorsStep>(step).node_keys.size(), 12u);
  EXPECT_EQ(std::get<DescriptorsStep>(step).hop, 0u);
}

TEST(RingView, AgreesWithTheWholeRingWhereItCanTell) {
  for (size_t neighbours : {size_t{16}, size_t{4}}) {
    Ring ring(30, 7, neighbours);
    RingView view(ring.network);
    for (size_t i = 0; i < 30; ++i) view.Add(ring.tables[i], kNow);
    if (neighbours == 16) view.AddStart(ring.tables[0], /*trusted=*/true, kNow);
    for (int i = 0; i < 500; ++i) {
      const NodeId point = NodeId::Random(ring.rng);
      const auto found = view.Responsible(point, kNow);
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(*found, overlay::ResponsibleFor(point, ring.peers, 3));
    }
  }
}

// The known hole: a relay signs a table over its own keys alone, which "covers the ring".
TEST(RingView, ATableThatCoversTheRingIsBelievedOfWhereTheClientBeganAlone) {
  Ring ring(20, 27), hostile(12, 28);
  RingView view(ring.network);
  view.AddStart(ring.tables[0], /*trusted=*/true, kNow);
  view.OnMet(ring.peers[0].node_key, kNow);
  view.Add(hostile.tables[0], kNow + absl::Seconds(1));  // newer than the true one
  ASSERT_NE(view.Covering(kNow + absl::Seconds(1)), nullptr);
  EXPECT_EQ(view.Covering(kNow + absl::Seconds(1))->owner.point, ring.peers[0].point);
  for (int i = 0; i < 200; ++i) {
    const NodeId point = NodeId::Random(ring.rng);
    EXPECT_EQ(*view.Responsible(point, kNow + absl::Seconds(1)), overlay::ResponsibleFor(point, ring.peers, 3));
  }
  EXPECT_EQ(view.Members(kNow + absl::Seconds(1)).size(), 20u);
}

TEST(RingView, TheOwnTableCountsAsItIsNowThoughItMayNotBeSigned) {
  Ring ring(20, 27);
  RingView view(ring.network);
  RoutingTable own = ring.tables[0];
  ASSERT_TRUE(own.encoded.empty());
  view.AddStart(own, /*trusted=*/true, kNow);
  own.successors.erase(own.successors.begin());
  view.AddStart(own, /*trusted=*/true, kNow + absl::Seconds(1));
  EXPECT_EQ(view.Find(own.owner.point, kNow + absl::Seconds(1))->successors, own.successors);
}

TEST(RingView, AnIntroducerNobodyNamedHasToNameWhomTheClientMet) {
  Ring ring(20, 27), hostile(12, 28);
  RingView view(ring.network);
  view.OnMet(ring.peers[3].node_key, kNow);
  view.AddStart(hostile.tables[0], /*trusted=*/false, kNow);
  EXPECT_EQ(view.Covering(kNow), nullptr);
  EXPECT_TRUE(view.Members(kNow).empty());
  EXPECT_FALSE(view.Responsible(NodeId::Random(ring.rng), kNow).has_value());
  const absl::Time later = kNow + absl::Seconds(1);
  view.AddStart(ring.tables[5], /*trusted=*/false, later);
  EXPECT_NE(view.Covering(later), nullptr);
  // Whom it met and could not reach any more, or long ago, may be missing.
  view.OnMet(hostile.peers[1].node_key, kNow);
  EXPECT_EQ(view.Covering(later), nullptr);
  view.OnLost(hostile.peers[1].node_key);
  EXPECT_NE(view.Covering(later), nullptr);
  view.OnMet(hostile.peers[1].node_key, kNow);
  EXPECT_NE(view.Covering(kNow + kMetLately + absl::Seconds(1)), nullptr);
}

TEST(RingView, ATableThatCoversASmallRingDoesNotFitALargeOne) {
  Ring ring(400, 29), hostile(12, 28);
  RingView view(ring.network);
  for (size_t i = 0; i < 400; i += 10) view.Add(ring.tables[i], kNow);
  view.AddStart(hostile.tables[0], /*trusted=*/true, kNow);
  EXPECT_EQ(view.Covering(kNow), nullptr);
}

TEST(RingView, SaysNothingOfWhatItDoesNotKnowOrNoLongerKnows) {
  Ring ring(40, 8, 4);
  RingView view(ring.network);
  view.Add(ring.tables[0], kNow);
  EXPECT_FALSE(view.Responsible(ring.peers[20].point, kNow).has_value());
  EXPECT_TRUE(view.Responsible(ring.peers[1].point, kNow).has_value());
  EXPECT_FALSE(view.Responsible(ring.peers[1].point, kNow + kTableHeld + absl::Seconds(1)).has_value());
  EXPECT_TRUE(view.Members(kNow + kTableHeld + absl::Seconds(1)).empty());
}

TEST(RingView, ATableThatNamesSomebodyWhoIsLostIsHeldForLess) {
  Ring ring(40, 8, 4);
  for (const bool lost : {false, true}) {
    RingView view(ring.network);
    view.Add(ring.tables[0], kNow);
    if (lost) view.OnLost(ring.peers[2].node_key);
    EXPECT_TRUE(view.Responsible(ring.peers[1].point, kNow + kTableFresh).has_value());
    EXPECT_EQ(view.Responsible(ring.peers[1].point, kNow + kTableFresh + absl::Seconds(1)).has_value(), !lost);
  }
}

TEST(RingView, HoldsNoMoreThanItsBoundAndLetsTheOldestGo) {
  Ring ring(8, 9);
  RingView view(ring.network);
  std::vector<NodeId> owners;
  for (size_t i = 0; i < 2 * kTablesMax; ++i) {
    RoutingTable table = ring.tables[0];
    table.owner.point = NodeId::Random(ring.rng);
    owners.push_back(table.owner.point);
    view.Add(table, kNow + absl::Milliseconds(static_cast<int64_t>(i)));
  }
  for (size_t i = 0; i < owners.size(); ++i) EXPECT_EQ(view.Find(owners[i], kNow) != nullptr, i >= kTablesMax) << i;
}

TEST(PeerBook, ABlamedNodesDescriptorHasToBeHeardAgain) {
  Ring ring(3, 10);
  const keys::PublicKey node_key = ring.peers[0].node_key;
  const overlay::Descriptor held = *ring.book.FindAny(node_key, kNow);
  ring.book.Blame(node_key, kNow);
  EXPECT_FALSE(ring.book.Find(node_key, kNow, kNow).has_value());
  EXPECT_TRUE(ring.book.FindAny(node_key, kNow).has_value());
  EXPECT_EQ(ring.book.Blamed(kNow), NodeKeys{node_key});
  EXPECT_TRUE(ring.book.Add(held.encoded, kNow, kNow));
  EXPECT_TRUE(ring.book.Find(node_key, kNow, kNow).has_value());
  EXPECT_TRUE(ring.book.Blamed(kNow + kBlameFor).empty());
  base::Bytes forged = held.encoded;
  forged[40] ^= 1;
  EXPECT_FALSE(ring.book.Add(forged, kNow, kNow));
}

// Ring/State answers FAILED_PRECONDITION to whom the directory does not hold: a node that was looked up must not see that change.
TEST(PeerBook, WhatCircuitsBringIsNotInTheRingsDirectory) {
  Ring ring(3, 10);
  overlay::Directory of_the_ring(ring.network);
  PeerBook book(of_the_ring);
  const overlay::Descriptor& learned = ring.descriptors[0];
  EXPECT_TRUE(book.Add(learned.encoded, kNow, kNow));
  EXPECT_TRUE(book.Find(learned.node_key, kNow, kNow).has_value());
  EXPECT_EQ(of_the_ring.Find(learned.node_key, kNow), nullptr);
  EXPECT_EQ(of_the_ring.size(), 0u);
}

TEST(CircuitPool, ACircuitServesOneIsolationKeyInItsLife) {
  CircuitPool pool;
  const auto any = [](uint64_t) { return true; };
  const absl::Time until = kNow + absl::Minutes(10);
  pool.Add(1, std::nullopt, /*busy=*/false, until);
  EXPECT_EQ(pool.ready(), 1u);
  EXPECT_EQ(pool.Take({1}, any, kNow), 1u);
  EXPECT_FALSE(pool.Take({1}, any, kNow).has_value()) << "one operation at a time";
  pool.Release(1);
  EXPECT_EQ(pool.ready(), 0u);
  EXPECT_FALSE(pool.Take({2}, any, kNow).has_value());
  EXPECT_EQ(pool.Take({1}, any, kNow), 1u);
  pool.Release(1);
  EXPECT_FALSE(pool.Take({1}, any, until + absl::Seconds(1)).has_value());
  EXPECT_EQ(pool.TakeExpired(until + absl::Seconds(1)), (std::vector<uint64_t>{1}));
  EXPECT_EQ(pool.size(), 0u);
}

TEST(CircuitPool, PrefersItsOwnKeysCircuitAndKeepsNoMoreThanItsBound) {
  CircuitPool pool;
  pool.Add(1, std::nullopt, false, kNow + absl::Minutes(1));
  pool.Add(2, base::Bytes{7}, false, kNow + absl::Minutes(1));
  EXPECT_EQ(pool.Take(
                {7}, [](uint64_t) { return true; }, kNow),
            2u);
  EXPECT_FALSE(pool.Take(
                       {8}, [](uint64_t circuit) { return circuit != 1; }, kNow)
                   .has_value());
  for (uint64_t i = 10; i < 10 + kIdlePooledMax + 5; ++i) pool.Add(i, base::Bytes{9}, false, kNow + absl::Minutes(2));
  EXPECT_EQ(pool.TakeExpired(kNow + absl::Seconds(2)).size(), 6u);
}

TEST(CircuitTable, IdsComeFromOnesOwnHalf) {
  CircuitTable table;
  support::SeededRng rng(4);
  for (bool high : {true, false}) {
    const overlay::LinkInfo link{.id = high ? 1u : 2u, .peer_key = {}, .is_node = true, .high_ids = high};
    for (int i = 0; i < 100; ++i) {
      const auto id = table.Allocate(link, {CircuitEnd::kRelayNext, 5}, 1000, rng);
      ASSERT_TRUE(id.has_value());
      EXPECT_FALSE(IsPeersId(link, *id));
      EXPECT_TRUE(IsPeersId(link, *id ^ overlay::kCircuitIdTopBit));
    }
    EXPECT_FALSE(table.Allocate(link, {CircuitEnd::kRelayNext, 5}, 100, rng).has_value());
    EXPECT_FALSE(IsPeersId(link, 0));
    EXPECT_EQ(table.TakeLink(link.id).size(), 100u);
    EXPECT_EQ(table.CountOn(link.id), 0u);
  }
}

TEST(AddressPrefix, IsTheFirstSixteenOrThirtyTwoBits) {
  EXPECT_EQ(overlay::PrefixOf("10.1.2.3:7"), "10.1");
  EXPECT_EQ(overlay::PrefixOf("[2001:db8:5::1]:7"), "2001:db8");
  EXPECT_EQ(overlay::PrefixOf("[2001:0DB8::1]:7"), "2001:db8");
  EXPECT_EQ(overlay::PrefixOf("[::1]:7"), "0:0");
  EXPECT_EQ(overlay::PrefixOf("[2001::1]:7"), "2001:0");
}

TEST(TokenBucket, GivesItsBurstAndThenItsRate) {
  TokenBucket bucket(2, 5);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.Take(kNow));
  EXPECT_FALSE(bucket.Take(kNow));
  EXPECT_FALSE(bucket.Take(kNow + absl::Milliseconds(400)));
  EXPECT_TRUE(bucket.Take(kNow + absl::Milliseconds(600)));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.Take(kNow + absl::Hours(1)));
  EXPECT_FALSE(bucket.Take(kNow + absl::Hours(1)));
}

TEST(TableLookup, BeginsAtTheLastRelayOrAtTheNearestMemberThatIsKnown) {
  Ring ring(100, 60);
  const NodeId point = ring.peers[36].point;
  for (const size_t nearest : {26, 25}) {  // the last successor, or the one before; fingers at 42 and 74 stand behind the point
    RingView view(ring.network);
    view.Add(ring.tables[10], kNow);
    const NodeKeys never = nearest == 26 ? NodeKeys{} : NodeKeys{ring.peers[26].node_key};
    TableLookup far({.point = point, .never = never, .shun = {}}, view, ring.book);
    const LookupStep first = far.Begin(kNow, kNow);
    ASSERT_TRUE(std::holds_alternative<TableStep>(first));
    EXPECT_EQ(std::get<TableStep>(first).hop, kRelayHops - 1);
    TableLookup near({.point = point, .never = never, .shun = {}, .from_view = true}, view, ring.book);
    const LookupStep step = near.Begin(kNow, kNow);
    ASSERT_TRUE(std::holds_alternative<ExtendStep>(step));
    EXPECT_EQ(std::get<ExtendStep>(step).target.node_key, ring.peers[nearest].node_key);
    EXPECT_EQ(std::get<ExtendStep>(step).hops_before, kRelayHops);
    EXPECT_EQ(std::get<TableStep>(near.OnHop()).hop, kRelayHops);
    view.Add(ring.tables[nearest], kNow);
    EXPECT_TRUE(std::holds_alternative<LookupFound>(near.OnTable(ring.tables[nearest], kNow, kNow)));
  }
  RingView empty(ring.network);
  TableLookup blind({.point = point, .never = {}, .shun = {}, .from_view = true}, empty, ring.book);
  EXPECT_TRUE(std::holds_alternative<TableStep>(blind.Begin(kNow, kNow))) << "nobody is known";
}

// A table that says who holds the point, but not for long enough any more, is fetched anew; until then nothing is found.
TEST(TableLookup, AheadOfItsTimeATableThatIsAboutToBeForgottenIsAskedForAgain) {
  Ring ring(100, 61);
  RingView view(ring.network);
  const absl::Duration ahead = absl::Minutes(1);
  const absl::Time later = kNow + kTableHeld - ahead / 2;
  view.Add(ring.tables[10], kNow);
  const NodeId point = ring.peers[11].point.PlusOne();
  ASSERT_TRUE(view.Responsible(point, later).has_value());
  TableLookup lookup({.point = point, .never = {}, .shun = {}, .from_view = true, .ahead = ahead}, view, ring.book);
  const LookupStep step = lookup.Begin(later, later);
  ASSERT_TRUE(std::holds_alternative<ExtendStep>(step));
  EXPECT_EQ(std::get<ExtendStep>(step).target.node_key, ring.peers[11].node_key);
  lookup.OnHop();
  view.Add(ring.tables[11], later);
  EXPECT_TRUE(std::holds_alternative<LookupFound>(lookup.OnTable(ring.tables[11], later, later)));
}

}  // namespace
}  // namespace circuits
