// SPDX-License-Identifier: Apache-2.0
// The secret pool, the guards, and the lookup that fills the pool, over drawn rings with and without liars.
#include "circuits/relay_pool.h"

#include <map>

#include "circuits/guard_set.h"
#include "circuits/point_lookup.h"
#include "tests/support/drawn_ring.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Descriptor;
using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;
using support::DrawnRing;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

Descriptor NewDescriptor(base::Rng& rng, absl::Time when = kNow) {
  const std::string address = absl::StrCat("127.", rng.Below(200), ".0.1:7");
  return overlay::SignDescriptor({}, keys::SigningKey::Generate(rng), {}, overlay::Role::kStoring, address, {}, when);
}

// Runs a lookup against honest members; `table_of` may lie.
template <class TableOf>
PointStep RunLookup(PointLookup& lookup, const DrawnRing& ring, TableOf table_of) {
  PointStep step = lookup.Next();
  while (const auto* fetch = std::get_if<FetchTable>(&step)) {
    const size_t index = ring.SuccessorOf(fetch->peer.point);
    if (const std::optional<RoutingTable> table = table_of(index)) {
      lookup.OnTable(*table);
    } else {
      lookup.OnNoTable();
    }
    step = lookup.Next();
  }
  return step;
}

TEST(PointLookup, FindsTheSuccessorInRingsOfAnySize) {
  for (size_t n : {size_t{5}, size_t{20}, size_t{40}, size_t{300}, size_t{5000}}) {
    support::SeededRng rng(n);
    const DrawnRing ring(n, rng);
    int fetches = 0, refused = 0;
    for (int i = 0; i < 200; ++i) {
      const NodeId x = NodeId::Random(rng);
      PointLookup lookup({.point = x, .mean_gap = 1.0 / static_cast<double>(n)}, rng);
      const size_t start = rng.Below(n);
      const double gap = 1.0 / static_cast<double>(n);
      if (!CheckTable(ring.TableOf(start), gap).ok()) ++refused;  // one in a thousand: nowhere to begin
      lookup.Learn(ring.TableOf(CheckTable(ring.TableOf(start), gap).ok() ? start : (start + n / 2) % n));
      const PointStep step = RunLookup(lookup, ring, [&](size_t who) { return std::optional(ring.TableOf(who)); });
      ASSERT_TRUE(std::holds_alternative<PointFound>(step)) << n << ": " << std::get<PointFailed>(step).why;
      EXPECT_EQ(std::get<PointFound>(step).table.owner.point, ring.peers[ring.SuccessorOf(x)].point);
      EXPECT_DOUBLE_EQ(std::get<PointFound>(step).arc, ring.ArcOf(ring.SuccessorOf(x)));
      fetches += lookup.fetches();
    }
    EXPECT_LE(fetches, 200 * 13) << n;
    EXPECT_LE(refused, 2) << n;
  }
}

TEST(PointLookup, GoesRoundThoseThatDoNotAnswerAndEndsWhereTheSuccessorDoesNot) {
  support::SeededRng rng(4);
  const DrawnRing ring(500, rng);
  int found = 0;
  for (int i = 0; i < 100; ++i) {
    const NodeId x = NodeId::Random(rng);
    const size_t owner = ring.SuccessorOf(x);
    PointLookup lookup({.point = x, .mean_gap = 1.0 / 500}, rng);
    lookup.Learn(ring.TableOf(rng.Below(500)));
    found += std::holds_alternative<PointFound>(RunLookup(lookup, ring, [&](size_t who) {
      return who == owner || who % 5 != 0 ? std::optional(ring.TableOf(who)) : std::nullopt;
    }));
    PointLookup in_vain({.point = x, .mean_gap = 1.0 / 500}, rng);
    in_vain.Learn(ring.TableOf((owner + 250) % 500));
    const auto all_but_owner = [&](size_t who) { return who == owner ? std::nullopt : std::optional(ring.TableOf(who)); };
    PointStep step = RunLookup(in_vain, ring, all_but_owner);
    ASSERT_TRUE(std::holds_alternative<PointFailed>(step));
    EXPECT_TRUE(absl::IsUnavailable(std::get<PointFailed>(step).why));
    in_vain.Restart({});
    step = RunLookup(in_vain, ring, [&](size_t who) { return std::optional(ring.TableOf(who)); });
    ASSERT_TRUE(std::holds_alternative<PointFound>(step)) << "the same point over another circuit";
    EXPECT_EQ(std::get<PointFound>(step).table.owner.point, ring.peers[owner].point);
  }
  EXPECT_GE(found, 97);
}

// Every fifth member leaves out honest ones as far as the bounds let it.
TEST(PointLookup, FindsTheTrueSuccessorAmongTablesThatHideIt) {
  support::SeededRng rng(6);
  const size_t n = 1000;
  const DrawnRing ring(n, rng);
  const auto is_hostile = [](size_t who) { return who * 2654435761u % 5 == 0; };
  const auto table_of = [&](size_t who) {
    RoutingTable table = ring.TableOf(who);
    if (!is_hostile(who)) return std::optional(table);
    for (const bool after : {true, false}) {
      std::vector<Peer>& list = after ? table.successors : table.predecessors;
      list.clear();
      for (size_t k = 1, honest = 0; list.size() < 16; ++k) {
        const size_t at = after ? (who + k) % n : (who + n - k) % n;
        if (!is_hostile(at) && ++honest % 2 == 0) continue;
        list.push_back(ring.peers[at]);
      }
    }
    return std::optional(table);
  };
  int right = 0, wrong = 0;
  for (int i = 0; i < 500; ++i) {
    const NodeId x = NodeId::Random(rng);
    PointLookup lookup({.point = x, .mean_gap = 1.0 / n}, rng);
    lookup.Learn(*table_of(rng.Below(n)));
    const PointStep step = RunLookup(lookup, ring, table_of);
    if (const auto* found = std::get_if<PointFound>(&step)) {
      const bool is_right = found->table.owner.point == ring.peers[ring.SuccessorOf(x)].point;
      right += is_right;
      wrong += !is_right;
    }
  }
  EXPECT_LE(wrong, 5) << right;
  EXPECT_GE(right, 450);
}

TEST(PointLookup, NeverAsksWhoStandsOnTheCircuit) {
  support::SeededRng rng(7);
  const DrawnRing ring(300, rng);
  for (int i = 0; i < 100; ++i) {
    const NodeId x = NodeId::Random(rng);
    const size_t owner = ring.SuccessorOf(x);
    const NodeKeys never = {ring.peers[owner].node_key, ring.peers[(owner + 299) % 300].node_key};
    PointLookup lookup({.point = x, .mean_gap = 1.0 / 300, .never = never}, rng);
    lookup.Learn(ring.TableOf(rng.Below(300)));
    const PointStep step = RunLookup(lookup, ring, [&](size_t who) {
      EXPECT_FALSE(never.contains(ring.peers[who].node_key));
      return std::optional(ring.TableOf(who));
    });
    ASSERT_TRUE(std::holds_alternative<PointFailed>(step));
    EXPECT_TRUE(absl::IsFailedPrecondition(std::get<PointFailed>(step).why))
        << std::get<PointFailed>(step).why << lookup.fetches();
  }
}

TEST(RelayPool, RetriesNeverChangeThePointAndEndAfterThree) {
  support::SeededRng rng(1);
  RelayPool pool(rng);
  absl::Time now = kNow;
  std::vector<RelayPool::Draw> first;
  while (first.empty()) {
    first = pool.OnTick(now);
    now = pool.NextTick();
  }
  const RelayPool::Draw draw = first[0];
  int tries = 1;
  while (pool.OnFailed(draw.id, now)) {
    for (bool again = false; !again;) {
      now = pool.NextTick();
      for (const RelayPool::Draw& due : pool.OnTick(now)) {
        if (due.id == draw.id) {
          EXPECT_EQ(due.point, draw.point);
          again = true;
        } else {
          pool.OnUnfit(due.id);
        }
      }
    }
    ++tries;
  }
  EXPECT_EQ(tries, kDrawTries);
  EXPECT_FALSE(pool.OnFound(draw.id, 0, 1, NewDescriptor(rng), false, kNow));
}

// Two pools with the same randomness: in one every first try is made to fail. The same relays are kept: the coin is drawn with
// the point.
TEST(RelayPool, ARefusalDoesNotBuyAnotherCoin) {
  support::SeededRng keys_rng(2);
  std::vector<bool> kept[2];
  for (const bool refuse : {false, true}) {
    support::SeededRng rng(3);
    RelayPool pool(rng);
    absl::Time now = kNow;
    support::SeededRng arcs(4);
    for (int i = 0; i < 30; ++i) {
      std::vector<RelayPool::Draw> due;
      while (due.empty()) {
        due = pool.OnTick(now);
        now = pool.NextTick();
      }
      const bool again = refuse && i == 0;
      if (again) pool.OnFailed(due[0].id, now);
      if (again) continue;
      kept[refuse].push_back(pool.OnFound(due[0].id, arcs.Unit() / 100, 0.01, NewDescriptor(keys_rng), false, kNow));
    }
    EXPECT_EQ(std::count(kept[refuse].begin(), kept[refuse].end(), true), static_cast<int>(pool.relays().size()));
  }
}

TEST(RelayPool, AcceptsByArcSoThatRelaysComeOutNearlyUniform) {
  support::SeededRng rng(5);
  const DrawnRing ring(2000, rng);
  double total = 0, heaviest = 0;
  for (size_t i = 0; i < 2000; ++i) {
    const double weight = ring.ArcOf(i) * AcceptChance(ring.ArcOf(i), 1.0 / 2000);
    total += weight;
    heaviest = std::max(heaviest, weight);
  }
  EXPECT_NEAR(total, 0.139, 0.01);
  EXPECT_LT(heaviest / (total / 2000), 1.1);
}

TEST(RelayPool, ProvisionalRelaysServeUntilEnoughOthersAreThere) {
  support::SeededRng rng(8);
  RelayPool pool(rng);
  absl::Time now = kNow;
  const auto find = [&](const Descriptor& descriptor, bool provisional) {
    std::vector<RelayPool::Draw> due;
    while ((due = pool.OnTick(now)).empty()) now = pool.NextTick();
    EXPECT_TRUE(pool.OnFound(due[0].id, 0, 1, descriptor, provisional, now));
    for (size_t i = 1; i < due.size(); ++i) pool.OnUnfit(due[i].id);
  };
  const Descriptor found_again = NewDescriptor(rng);
  find(found_again, true);
  for (size_t i = 1; i < kPoolUsable; ++i) find(NewDescriptor(rng), true);
  EXPECT_TRUE(pool.IsUsable());
  find(found_again, false);
  for (size_t i = 2; i < kPoolUsable; ++i) find(NewDescriptor(rng), false);
  EXPECT_EQ(pool.relays().size(), 2 * kPoolUsable - 2);

  RelayPool restored(rng);
  ASSERT_OK(restored.Decode(overlay::Network::Local(), pool.Encode(), now, kNow + absl::Hours(1)));
  EXPECT_EQ(restored.Encode(), pool.Encode());
  find(NewDescriptor(rng), false);
  EXPECT_EQ(pool.relays().size(), kPoolUsable);
  EXPECT_TRUE(pool.Contains(found_again.node_key));
}

// Half of the finds are of one prefix, the rest of `others`: its share of a full pool.
size_t LargestPrefixOf64(bool distinct_prefixes, uint64_t others) {
  support::SeededRng rng(10);
  RelayPool pool(rng, distinct_prefixes);
  absl::Time now = kNow;
  while (pool.relays().size() < kPoolSize) {
    for (const RelayPool::Draw& draw : pool.OnTick(now)) {
      const uint64_t prefix = rng.Below(2) == 0 ? 0 : 1 + rng.Below(others);
      const std::string address = absl::StrCat("127.", prefix, ".0.1:7");
      pool.OnFound(draw.id, 0, 1,
                   overlay::SignDescriptor({}, keys::SigningKey::Generate(rng), {}, overlay::Role::kStoring, address, {}, kNow),
                   false, kNow);
    }
    now = pool.NextTick();
  }
  return static_cast<size_t>(std::count_if(pool.relays().begin(), pool.relays().end(), [](const RelayPool::Relay& relay) {
    return relay.descriptor.address == "127.0.0.1:7";
  }));
}

TEST(RelayPool, OnePrefixFillsNoMoreThanAQuarterWhereThereAreEight) {
  EXPECT_LE(LargestPrefixOf64(true, 40), kPoolSize / kPrefixPart);
  EXPECT_GE(LargestPrefixOf64(true, 40), kPoolSize / kPrefixPart - 2) << "it is not shut out either";
  EXPECT_GE(LargestPrefixOf64(true, kPrefixesMin - 2), 24u) << "too few prefixes: the pool could not be filled";
  EXPECT_GE(LargestPrefixOf64(false, 40), 24u);
}

TEST(RelayPool, FillsToItsSizeAtPoissonTimesAndTurnsOverInADay) {
  support::SeededRng rng(6);
  RelayPool pool(rng);
  absl::Time now = kNow;
  std::vector<absl::Duration> pauses;
  absl::Time last = kNow;
  while (pool.relays().size() < kPoolSize) {
    for (const RelayPool::Draw& draw : pool.OnTick(now)) {
      pauses.push_back(now - last);
      last = now;
      pool.OnFound(draw.id, 0.01, 0.01, NewDescriptor(rng, now), false, now);
    }
    now = pool.NextTick();
  }
  EXPECT_TRUE(pool.IsUsable());
  EXPECT_LT(now - kNow, absl::Hours(12));
  EXPECT_GT(*std::max_element(pauses.begin(), pauses.end()), 3 * kDrawFilling);
  const keys::PublicKey oldest = pool.relays().front().descriptor.node_key;
  pool.DropExpired(kNow + absl::Hours(25));
  EXPECT_FALSE(pool.Contains(oldest));
}

TEST(RelayPool, ComesBackFromItsBytesAndTakesNoOthers) {
  support::SeededRng rng(8);
  RelayPool pool(rng);
  absl::Time now = kNow;
  while (pool.relays().size() < 5) {
    for (const auto& draw : pool.OnTick(now)) pool.OnFound(draw.id, 0, 1, NewDescriptor(rng), false, kNow);
    now = pool.NextTick();
  }
  std::vector<RelayPool::Draw> open;
  while (open.empty()) {
    now = pool.NextTick();
    open = pool.OnTick(now);
  }
  const base::Bytes bytes = pool.Encode();
  RelayPool read(rng);
  ASSERT_OK(read.Decode({}, bytes, now, kNow));
  EXPECT_EQ(read.relays().size(), 5u);
  EXPECT_TRUE(read.Contains(pool.relays()[2].descriptor.node_key));
  EXPECT_EQ(read.OnTick(now)[0].point, open[0].point) << "a committed point survives a restart";
  RelayPool late(rng);
  ASSERT_OK(late.Decode({}, bytes, now, kNow + absl::Hours(20)));
  EXPECT_TRUE(late.relays().empty());
  for (size_t cut = 0; cut < bytes.size(); cut += 7) {
    EXPECT_TRUE(absl::IsDataLoss(late.Decode({}, base::ByteView(bytes).first(cut), now, kNow))) << cut;
  }
}

std::vector<Peer> Peers(size_t count, base::Rng& rng) {
  std::vector<Peer> peers;
  for (size_t i = 0; i < count; ++i) peers.push_back(NewDescriptor(rng).ToPeer({}));
  return peers;
}

TEST(GuardSet, KeepsTheFirstAndTakesASpareOnlyWhileItIsSilent) {
  support::SeededRng rng(1);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet guards(rng);
  const Peer first = *guards.Choose(choices, {}, false, kNow, kNow);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(guards.Choose(choices, {}, false, kNow, kNow)->point, first.point);
  guards.OnSilence(first.node_key, kNow);
  const Peer spare = *guards.Choose(choices, {}, false, kNow, kNow);
  EXPECT_NE(spare.point, first.point);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(guards.Choose(choices, {}, false, kNow, kNow)->point, spare.point);
  EXPECT_EQ(guards.Choose(choices, {}, false, kNow + kGuardAgain, kNow)->point, first.point) << "it is tried again";
  guards.OnAnswer(first.node_key);
  EXPECT_EQ(guards.Choose(choices, {}, false, kNow, kNow)->point, first.point);
  EXPECT_EQ(guards.guards().size(), 2u);
}

TEST(GuardSet, TheRulesAreKeptAndAHolderIsBetterThanANewOne) {
  support::SeededRng rng(2);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet guards(rng);
  const Peer first = *guards.Choose(choices, {}, false, kNow, kNow);
  EXPECT_EQ(guards.Choose(choices, {.shun = {first.node_key}}, false, kNow, kNow)->point, first.point);
  const Peer other = *guards.Choose(choices, {.never = {first.node_key}}, false, kNow, kNow);
  EXPECT_NE(other.point, first.point);
  EXPECT_EQ(guards.Choose(choices, {.shun = {first.node_key}}, false, kNow, kNow)->point, other.point);
  EXPECT_FALSE(GuardSet(rng).Choose({first}, {.never = {first.node_key}}, false, kNow, kNow).has_value());
}

TEST(GuardSet, LivesTwentyToFortyDays) {
  support::SeededRng rng(3);
  const std::vector<Peer> choices = Peers(5, rng);
  double shortest = 1e9, longest = 0;
  for (int i = 0; i < 200; ++i) {
    GuardSet guards(rng);
    const Peer first = *guards.Choose(choices, {}, false, kNow, kNow);
    const double days = absl::ToDoubleHours(guards.guards()[0].until - kNow) / 24;
    shortest = std::min(shortest, days);
    longest = std::max(longest, days);
    guards.Choose(choices, {}, false, kNow, kNow + absl::Hours(24 * 41));
    guards.Choose(choices, {}, false, kNow + kGuardOver, kNow + absl::Hours(24 * 41));
    EXPECT_GT(guards.guards()[0].until, kNow + absl::Hours(24 * 41));
  }
  EXPECT_GE(shortest, 20);
  EXPECT_LE(longest, 40);
  EXPECT_GT(longest - shortest, 15);
}

TEST(GuardSet, AClockThatIsWrongForAMomentCostsNoGuard) {
  support::SeededRng rng(6);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet guards(rng);
  const Peer first = *guards.Choose(choices, {}, false, kNow, kNow);
  for (const absl::Duration wrong : {absl::Hours(24 * 60), -absl::Hours(24 * 60), absl::Hours(24 * 9000)}) {
    EXPECT_EQ(guards.Choose(choices, {}, false, kNow, kNow + wrong)->point, first.point);
    EXPECT_EQ(guards.Choose(choices, {}, false, kNow + kGuardOver / 2, kNow + wrong)->point, first.point);
    EXPECT_EQ(guards.Choose(choices, {}, false, kNow + kGuardOver, kNow)->point, first.point);
  }
}

TEST(GuardSet, WhatAWrongClockDrewDoesNotOutliveTheOthers) {
  support::SeededRng rng(7);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet ahead(rng), guards(rng);
  const absl::Time far = kNow + absl::Hours(24 * 4000);
  const Peer first = *ahead.Choose(choices, {}, false, kNow, far);
  for (int i = 0; i < kBiasBuildsMin; ++i) ahead.OnCircuit(first.node_key, /*stood=*/false, far);
  EXPECT_TRUE(ahead.guards().empty()) << "dropped, at a time that is far off";
  ahead.Choose(choices, {}, false, kNow, far);
  ASSERT_OK(guards.Decode({}, ahead.Encode()));
  guards.Choose(choices, {}, false, kNow, kNow);
  const Peer second = *guards.Choose(choices, {}, false, kNow + kGuardOver, kNow);
  EXPECT_LE(guards.guards()[0].until, kNow + kGuardLife + kGuardLifeJitter);
  for (int i = 0; i < kBiasBuildsMin; ++i) guards.OnCircuit(second.node_key, /*stood=*/false, kNow);
  EXPECT_TRUE(guards.guards().empty());
}

TEST(GuardSet, ABiasedGuardGoesButOneInTenDaysAtMost) {
  support::SeededRng rng(4);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet guards(rng);
  absl::Time wall = kNow;
  const auto run = [&](double dies, int circuits = 150) {
    const Peer guard = *guards.Choose(choices, {}, false, kNow, wall);
    for (int i = 0; i < circuits; ++i) guards.OnCircuit(guard.node_key, rng.Unit() >= dies, wall);
    return guard;
  };
  EXPECT_FALSE(IsBiased(kBiasBuildsMin - 1, kBiasBuildsMin - 1));
  EXPECT_FALSE(IsBiased(20, 16));
  EXPECT_TRUE(IsBiased(20, 17));
  EXPECT_TRUE(IsBiased(1000, 640));
  const Peer honest = run(0.36, 60);
  EXPECT_EQ(guards.Choose(choices, {}, false, kNow, wall)->point, honest.point);
  run(0.95);
  EXPECT_TRUE(guards.guards().empty());
  const Peer second = run(0.95);
  EXPECT_EQ(guards.Choose(choices, {}, false, kNow, wall)->point, second.point) << "not a second one so soon";
  wall += kBiasDropEvery;
  run(0.95);
  EXPECT_TRUE(guards.guards().empty());
}

TEST(GuardSet, ProvisionalOnesGoAndTheRestComesBackFromItsBytes) {
  support::SeededRng rng(5);
  const std::vector<Peer> choices = Peers(30, rng);
  GuardSet guards(rng);
  const Peer provisional = *guards.Choose(choices, {}, /*provisional=*/true, kNow, kNow);
  guards.Choose(choices, {.never = {provisional.node_key}}, false, kNow, kNow);
  GuardSet read(rng);
  ASSERT_OK(read.Decode({}, guards.Encode()));
  ASSERT_EQ(read.guards().size(), 2u);
  EXPECT_TRUE(read.guards()[0].provisional);
  EXPECT_EQ(read.guards()[1].peer.point, guards.guards()[1].peer.point);
  read.DropProvisional();
  EXPECT_EQ(read.guards().size(), 1u);
  const base::Bytes bytes = guards.Encode();
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_TRUE(absl::IsDataLoss(read.Decode({}, base::ByteView(bytes).first(cut)))) << cut;
  EXPECT_EQ(read.guards().size(), 1u);
}

}  // namespace
}  // namespace circuits
