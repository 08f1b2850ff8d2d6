// SPDX-License-Identifier: Apache-2.0
// Density, bounds of tables and claims about successors, over drawn rings: what is true passes, what is bent does not.
#include "circuits/table_check.h"

#include "circuits/ring_density.h"
#include "tests/support/drawn_ring.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::NodeId;
using overlay::RoutingTable;
using support::DrawnRing;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

TEST(RingDensity, IsWithinATenthFromTwentyStretches) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    support::SeededRng rng(seed);
    const DrawnRing ring(2000, rng);
    RingDensity density;
    while (density.size() < kDensitySamplesMin) {
      EXPECT_FALSE(density.MeanGap(kNow).has_value());
      density.Add(ring.TableOf(rng.Below(2000)), kNow);
    }
    EXPECT_NEAR(*density.MeanGap(kNow) * 2000, 1, 0.2) << seed;
    for (int i = 0; i < 400; ++i) density.Add(ring.TableOf(rng.Below(2000)), kNow);
    EXPECT_NEAR(*density.MeanGap(kNow) * 2000, 1, 0.12) << seed;
    EXPECT_FALSE(density.MeanGap(kNow + kDensityFresh + absl::Seconds(1)).has_value());
  }
}

TEST(RingDensity, NeighboursAndRepeatsCountOnce) {
  support::SeededRng rng(3);
  const DrawnRing ring(2000, rng);
  RingDensity density;
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 16; ++i) density.Add(ring.TableOf(i), kNow);
  }
  EXPECT_EQ(density.size(), 1u);
}

TEST(RingDensity, BearsAThirdThatLie) {
  support::SeededRng rng(5);
  const DrawnRing ring(4000, rng);
  RingDensity density;
  for (size_t i = 0; i < 4000; i += 50) {
    RoutingTable table = ring.TableOf(i);
    if (rng.Below(10) < 3) {  // names every third neighbour only
      for (auto* list : {&table.successors, &table.predecessors}) {
        const bool after = list == &table.successors;
        for (size_t k = 0; k < list->size(); ++k) {
          (*list)[k] = ring.peers[after ? (i + 3 * k + 1) % 4000 : (i + 4000 - 3 * k - 1) % 4000];
        }
      }
    }
    density.Add(table, kNow);
  }
  EXPECT_NEAR(*density.MeanGap(kNow) * 4000, 1.1, 0.12);
}

TEST(RingDensity, HalfTheCircleIsEnoughOfASmallRing) {
  support::SeededRng rng(6);
  const DrawnRing ring(64, rng);
  RingDensity density;
  density.Add(ring.TableOf(0), kNow);
  density.Add(ring.TableOf(32), kNow);
  ASSERT_TRUE(density.MeanGap(kNow).has_value());
  EXPECT_NEAR(*density.MeanGap(kNow) * 64, 1, 0.35);
}

TEST(RingDensity, OfTwoStretchesNeitherHasTheLastWord) {
  support::SeededRng rng(7);
  const DrawnRing ring(200, rng);
  RoutingTable liar = ring.TableOf(100);  // names every fifth neighbour only: that is most of the circle
  for (size_t k = 0; k < liar.successors.size(); ++k) {
    liar.successors[k] = ring.peers[(100 + 5 * k + 1) % 200];
    liar.predecessors[k] = ring.peers[(300 - 5 * k - 1) % 200];
  }
  RingDensity density;
  density.Add(liar, kNow);
  EXPECT_FALSE(density.MeanGap(kNow).has_value()) << "one alone";
  density.Add(ring.TableOf(0), kNow);
  EXPECT_FALSE(density.MeanGap(kNow).has_value()) << "they do not agree";
  density.Add(ring.TableOf(101), kNow);
  density.Add(ring.TableOf(50), kNow);
  density.Add(ring.TableOf(150), kNow);
  ASSERT_TRUE(density.MeanGap(kNow).has_value()) << "a true one took the liar's place";
  EXPECT_NEAR(*density.MeanGap(kNow) * 200, 1, 0.5);
}

TEST(RingDensity, SmallRingsGetOneOrShowThemselvesWhole) {
  int without = 0;
  for (size_t n = 12; n <= 60; ++n) {
    support::SeededRng rng(n);
    const DrawnRing ring(n, rng);
    RingDensity density;
    for (size_t i = 0; i < n; ++i) density.Add(ring.TableOf(i), kNow);
    without += !ring.TableOf(0).CoversRing() && !density.MeanGap(kNow).has_value() ? 1 : 0;
  }
  EXPECT_LE(without, 3) << "33, where one stretch is the whole ring; and where two differ by chance";
}

// The rate that is allowed: one honest table in a thousand, with a density that is itself estimated.
TEST(TableCheck, RefusesFewerThanOneTrueTableInAThousand) {
  int refused = 0, tables = 0, claims_refused = 0, claims = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    support::SeededRng rng(seed);
    const size_t n = seed % 3 == 0 ? 200 : seed % 3 == 1 ? 1500 : 6000;
    const DrawnRing ring(n, rng);
    RingDensity density;
    for (int i = 0; i < 300; ++i) density.Add(ring.TableOf(rng.Below(n)), kNow);
    const double gap = *density.MeanGap(kNow);
    for (int i = 0; i < 2000; ++i) {
      const RoutingTable table = ring.TableOf(rng.Below(n));
      refused += !CheckTable(table, gap).ok();
      ++tables;
      const NodeId x = NodeId::Random(rng);
      const RoutingTable found = ring.TableOf(ring.SuccessorOf(x));
      claims_refused += !CheckTable(found, gap).ok() || !CheckClaim(x, found, gap).ok();
      ++claims;
      const auto witness = ChooseWitness(found, {}, rng);
      const RoutingTable seen = ring.TableOf(ring.SuccessorOf(witness->point));
      ASSERT_NE(FirstAtOrAfter(x, seen), nullptr);
      EXPECT_EQ(FirstAtOrAfter(x, seen)->point, found.owner.point);
    }
  }
  RecordProperty("refused", refused);
  EXPECT_LE(refused, tables / 1000) << refused << " of " << tables;
  EXPECT_LE(claims_refused, claims / 1000) << claims_refused << " of " << claims;
}

TEST(TableCheck, RefusesFingersThatAreBentOrLeftOut) {
  support::SeededRng rng(9);
  const size_t n = 3000;
  const DrawnRing ring(n, rng);
  for (int i = 0; i < 200; ++i) {
    const size_t me = rng.Below(n);
    const RoutingTable table = ring.TableOf(me);
    ASSERT_OK(CheckTable(table, 1.0 / n));
    RoutingTable bent = table;  // one finger forty places on
    auto& finger = bent.fingers[rng.Below(bent.fingers.size())];
    finger.peer = ring.peers[(ring.SuccessorOf(finger.peer.point) + 40) % n];
    EXPECT_FALSE(CheckTable(bent, 1.0 / n).ok());
    RoutingTable moved = table;  // all fingers five places on
    for (auto& each : moved.fingers) each.peer = ring.peers[(ring.SuccessorOf(each.peer.point) + 5) % n];
    EXPECT_FALSE(CheckTable(moved, 1.0 / n).ok());
    RoutingTable thin = table;
    thin.fingers.erase(thin.fingers.begin() + 2, thin.fingers.begin() + 6);
    EXPECT_FALSE(CheckTable(thin, 1.0 / n).ok());
    RoutingTable sparse = table;  // every fourth neighbour only: the friends of who owns a quarter
    for (size_t k = 0; k < 16; ++k) sparse.predecessors[k] = ring.peers[(me + n - 4 * (k + 1)) % n];
    EXPECT_FALSE(CheckTable(sparse, 1.0 / n).ok());
    sparse = table;
    sparse.successors.resize(kNeighboursMin - 1);
    EXPECT_FALSE(CheckTable(sparse, 1.0 / n).ok());
  }
}

TEST(TableCheck, ASmallRingsTableDoesNotFitALargeRing) {
  support::SeededRng rng(10);
  const DrawnRing ring(20, rng);
  ASSERT_TRUE(ring.TableOf(3).CoversRing());
  EXPECT_OK(CheckTable(ring.TableOf(3), 1.0 / 24));
  EXPECT_FALSE(CheckTable(ring.TableOf(3), 1.0 / 500).ok());
}

TEST(TableCheck, AClaimOverAnothersArcFails) {
  support::SeededRng rng(11);
  const size_t n = 1000;
  const DrawnRing ring(n, rng);
  for (int i = 0; i < 200; ++i) {
    const NodeId x = NodeId::Random(rng);
    const size_t true_owner = ring.SuccessorOf(x);
    RoutingTable liar = ring.TableOf((true_owner + 1) % n);
    EXPECT_FALSE(CheckClaim(x, liar, 1.0 / n).ok());
    liar.predecessors.erase(liar.predecessors.begin());  // hides the true owner: now only a witness can tell
    EXPECT_OK(CheckClaim(x, liar, 1.2 / n));
    const auto witness = ChooseWitness(liar, {}, rng);
    EXPECT_EQ(FirstAtOrAfter(x, ring.TableOf(ring.SuccessorOf(witness->point)))->point, ring.peers[true_owner].point);
  }
}

TEST(TableCheck, AWitnessIsAnyPredecessorThatMayBeAsked) {
  support::SeededRng rng(12);
  const DrawnRing ring(100, rng);
  const RoutingTable table = ring.TableOf(50);
  NodeKeys never;
  for (size_t k = 0; k < 15; ++k) never.insert(table.predecessors[k].node_key);
  EXPECT_EQ(ChooseWitness(table, never, rng)->point, table.predecessors[15].point);
  never.insert(table.predecessors[15].node_key);
  EXPECT_FALSE(ChooseWitness(table, never, rng).has_value());
}

}  // namespace
}  // namespace circuits
