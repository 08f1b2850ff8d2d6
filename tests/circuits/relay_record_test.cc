// SPDX-License-Identifier: Apache-2.0
// Which relays are shunned because their circuits die, behind honest guards and hostile ones; and what counts as dying.
#include "circuits/relay_record.h"

#include "base/byte_reader.h"
#include "circuits/guard_set.h"
#include "gtest/gtest.h"
#include "tests/circuits/fake_network.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Peer;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
constexpr size_t kHostile = 13;  // of a pool of 64

std::vector<Peer> Pool(base::Rng& rng) {
  std::vector<Peer> pool(kPoolSize);
  for (Peer& peer : pool) peer.node_key = keys::SigningKey::Generate(rng).public_key();
  return pool;
}

// Circuits out of the pool for which `dies` decides; the share of the last half that stood.
template <class Dies>
double RunCircuits(RelayRecord& record, const std::vector<Peer>& pool, base::Rng& rng, int circuits, Dies dies) {
  double stood = 0;
  for (int i = 0; i < circuits; ++i) {
    HopRules rules{.shun = record.Refusing(pool, kNow)};
    const Peer middle = *ChooseHop(pool, rules, rng);
    rules.never.insert(middle.node_key);
    const Peer last = *ChooseHop(pool, rules, rng);
    const bool died = dies(middle.node_key, last.node_key);
    record.OnCircuit(std::vector{middle.node_key, last.node_key}, !died, kNow);
    stood += i >= circuits / 2 && !died;
  }
  return 2 * stood / circuits;
}

NodeKeys FirstOf(const std::vector<Peer>& pool, size_t count) {
  NodeKeys keys;
  for (size_t i = 0; i < count; ++i) keys.insert(pool[i].node_key);
  return keys;
}

TEST(RelayRecord, WhoRefusesBehindAnHonestGuardIsShunned) {
  support::SeededRng rng(1);
  const std::vector<Peer> pool = Pool(rng);
  const NodeKeys hostile = FirstOf(pool, kHostile);
  RelayRecord record;
  const double stood = RunCircuits(record, pool, rng, 1000, [&](const auto& middle, const auto& last) {
    return hostile.contains(middle) || hostile.contains(last);
  });
  EXPECT_GT(stood, 0.93) << "64 of 100 without a record";
  size_t honest_shunned = 0;
  for (const keys::PublicKey& shunned : record.Refusing(pool, kNow)) honest_shunned += !hostile.contains(shunned);
  EXPECT_EQ(honest_shunned, 0u);
  EXPECT_TRUE(record.Refusing(pool, kNow + kRecordLife + absl::Seconds(1)).empty()) << "another chance";
  record.Clear();
  EXPECT_TRUE(record.Refusing(pool, kNow).empty());
}

// It kills what has no friend at the end, as much as it may without losing its place: what honest relays then look like is not
// enough.
TEST(RelayRecord, AHostileGuardGetsFewHonestRelaysShunned) {
  double shunned = 0;
  constexpr int kRounds = 10;
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    support::SeededRng rng(100 + seed);
    const std::vector<Peer> pool = Pool(rng);
    const NodeKeys hostile = FirstOf(pool, kHostile);
    RelayRecord record;
    RunCircuits(record, pool, rng, 1000,
                [&](const auto&, const auto& last) { return !hostile.contains(last) && rng.Unit() < 0.75; });
    for (const keys::PublicKey& relay : record.Refusing(pool, kNow)) shunned += !hostile.contains(relay);
  }
  EXPECT_LT(shunned / kRounds, 6) << "of 51";
}

TEST(RelayRecord, NeverShunsMoreThanAQuarterAndTheWorstFirst) {
  support::SeededRng rng(2);
  const std::vector<Peer> pool = Pool(rng);
  RelayRecord record;
  for (int i = 0; i < 12; ++i) {
    for (size_t k = 0; k < kPoolSize; ++k) record.OnCircuit(std::vector{pool[k].node_key}, k >= 32 || (k < 16 && i == 0), kNow);
  }
  const NodeKeys shunned = record.Refusing(pool, kNow);
  EXPECT_EQ(shunned.size(), kPoolSize / kShunnedPart);
  for (const keys::PublicKey& relay : shunned) EXPECT_FALSE(FirstOf(pool, 16).contains(relay));
  EXPECT_TRUE(record.Refusing({pool[20]}, kNow).empty()) << "there is no other";
}

TEST(RelayRecord, TheOldestOfTooManyIsForgotten) {
  support::SeededRng rng(3);
  const std::vector<Peer> pool = Pool(rng);
  RelayRecord record;
  for (int i = 0; i < 20; ++i) record.OnCircuit(std::vector{pool[0].node_key}, false, kNow);
  for (int i = 0; i < 200; ++i) record.OnCircuit({}, true, kNow);
  EXPECT_EQ(record.Refusing(pool, kNow).size(), 1u);
  for (size_t i = 0; i < kRecordsMax; ++i) {
    record.OnCircuit(std::vector{keys::SigningKey::Generate(rng).public_key()}, true, kNow + absl::Seconds(1));
  }
  EXPECT_TRUE(record.Refusing(pool, kNow + absl::Seconds(1)).empty());
}

// Whether it dies while it is built or afterwards: a circuit stands when something came back over it.
TEST(RelayRecord, ACircuitCountsWhenItProvedItself) {
  FakeNetwork net(77);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(11);
  const auto first_guard = [&] {
    net.loop.RunFor(kKeepRelaysEvery);
    GuardSet guards(net.rng());
    base::ByteReader reader(net.kept_relays(user));
    EXPECT_OK(guards.Decode(net.network, reader.Long()));
    return guards.guards().front();
  };
  constexpr int kOperations = 6;
  const auto operate = [&] {
    for (int i = 0; i < kOperations; ++i) net.Operate(user, overlay::NodeId::Random(net.rng()));
  };
  operate();
  const GuardSet::Guard good = first_guard();
  EXPECT_EQ(good.died, 0);
  EXPECT_GE(good.tried, kOperations - 1) << "one may have gone over the spare, where the first held the place";
  net.endpoints_answer = false;
  operate();
  const GuardSet::Guard bad = first_guard();
  EXPECT_GE(bad.died, kOperations - 1);
  EXPECT_EQ(bad.tried - good.tried, bad.died);
}

}  // namespace
}  // namespace circuits
