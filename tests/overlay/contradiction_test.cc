// SPDX-License-Identifier: Apache-2.0
#include "overlay/contradiction.h"

#include <gtest/gtest.h>

#include "overlay/convictions.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class ContradictionTest : public testing::Test {
 protected:
  // A table of that signer with one successor, of which there are as many as numbers.
  RoutingTable Table(const keys::SigningKey& key, int after, int issued, uint8_t successor, uint8_t index = 0) {
    RoutingTable table;
    table.owner = MakePeer(network_, key.public_key(), index, Role::kStoring, "127.0.0.1:1");
    table.successors = {MakePeer(network_, keys::PublicKey{{successor}}, 0, Role::kStoring, "127.0.0.1:2")};
    SignTable(network_, key, table, kNow + absl::Seconds(issued), kNow + absl::Seconds(after));
    return table;
  }
  RoutingTable Table(int after, int issued, uint8_t successor) { return Table(key_, after, issued, successor); }
  base::Bytes Proof(const keys::SigningKey& key, int issued = 0) {
    return MakeContradiction(HeadOf(Table(key, issued - 1, issued, 1)), HeadOf(Table(key, issued - 1, issued, 2))).encoded;
  }

  support::SeededRng rng_{5};
  Network network_ = [] {
    Network network;
    network.virtual_nodes = 2;
    return network;
  }();
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
};

TEST_F(ContradictionTest, IsTwoTablesWhoseSpansMeetAndNothingElse) {
  const auto contradict = [&](const RoutingTable& a, const RoutingTable& b) {
    const bool forth = Contradict(HeadOf(a), HeadOf(b));
    EXPECT_EQ(forth, Contradict(HeadOf(b), HeadOf(a)));
    return forth;
  };
  const RoutingTable table = Table(10, 20, 1);
  EXPECT_FALSE(contradict(table, table));
  EXPECT_FALSE(contradict(table, Table(10, 20, 1))) << "the same content, signed again";
  EXPECT_TRUE(contradict(table, Table(10, 20, 2)));
  EXPECT_FALSE(contradict(table, Table(20, 30, 2))) << "the next one";
  EXPECT_FALSE(contradict(table, Table(0, 10, 2))) << "the one before";
  EXPECT_FALSE(contradict(table, Table(25, 30, 2))) << "a later one";
  EXPECT_TRUE(contradict(table, Table(12, 13, 2)));
  EXPECT_TRUE(contradict(table, Table(19, 30, 2)));
  EXPECT_TRUE(contradict(table, Table(0, 11, 2)));
  EXPECT_TRUE(contradict(table, Table(0, 40, 2)));
  EXPECT_TRUE(contradict(table, Table(0, 40, 1))) << "one content, two histories";
  EXPECT_FALSE(contradict(table, Table(key_, 10, 20, 2, /*index=*/1))) << "another virtual node";
  EXPECT_FALSE(contradict(table, Table(keys::SigningKey::Generate(rng_), 10, 20, 2)));
}

// What no proof shows (decisions/0020): two stories, each signed for seconds of its own, with gaps or as one chain. All of these
// are good for ten minutes, side by side.
TEST_F(ContradictionTest, IsNotWhatALiarSignsWhoGivesEachStoryItsOwnSeconds) {
  for (const bool chained : {false, true}) {
    const RoutingTable told[] = {Table(99, 100, 1), Table(100, 101, 2), Table(chained ? 101 : 400, 401, 1), Table(401, 402, 2)};
    for (const RoutingTable& a : told) {
      for (const RoutingTable& b : told) EXPECT_FALSE(Contradict(HeadOf(a), HeadOf(b)));
    }
  }
  EXPECT_TRUE(Contradict(HeadOf(Table(99, 100, 1)), HeadOf(Table(99, 100, 2)))) << "both for one second";
}

TEST_F(ContradictionTest, TimesOnlyGoUpWhateverTheClockSays) {
  RoutingTable table = Table(10, 20, 1);
  SignTable(network_, key_, table, kNow - absl::Hours(5), table.issued);
  EXPECT_EQ(table.after, kNow + absl::Seconds(20));
  EXPECT_EQ(table.issued, kNow + absl::Seconds(21));
  EXPECT_EQ(table.expires, table.issued + network_.table_lifetime);
}

TEST_F(ContradictionTest, ComesBackAsItWasMadeAndIsRefusedWithAByteChangedOrCut) {
  const Contradiction made = MakeContradiction(HeadOf(Table(0, 10, 1)), HeadOf(Table(5, 8, 2)));
  EXPECT_EQ(made.second.issued, kNow + absl::Seconds(10));
  EXPECT_LE(made.encoded.size(), kContradictionMax);
  ASSERT_OK_AND_ASSIGN(const Contradiction read, DecodeContradiction(network_, made.encoded, kNow));
  EXPECT_EQ(read.signer(), key_.public_key());
  EXPECT_EQ(read.encoded, made.encoded);
  ASSERT_TRUE(ReadAccusation(network_, made.encoded).has_value());
  EXPECT_EQ(ReadAccusation(network_, made.encoded)->accused, key_.public_key());
  EXPECT_EQ(ReadAccusation(network_, made.encoded)->until, made.until());
  for (size_t i = 0; i < made.encoded.size(); ++i) {
    base::Bytes changed = made.encoded;
    changed[i] ^= static_cast<uint8_t>(1 + rng_.Below(255));
    EXPECT_FALSE(DecodeContradiction(network_, changed, kNow).ok()) << i;
    EXPECT_FALSE(DecodeContradiction(network_, base::ByteView(made.encoded).first(i), kNow).ok()) << i;
    EXPECT_FALSE(ReadAccusation(network_, base::ByteView(made.encoded).first(i)).has_value());
  }
}

TEST_F(ContradictionTest, WhatIsNoneIsRefusedThoughSigned) {
  const auto decode = [&](const RoutingTable& a, const RoutingTable& b, absl::Time now = kNow) {
    return DecodeContradiction(network_, base::ByteWriter().Long(a.head).Long(b.head).Take(), now).status();
  };
  const RoutingTable a = Table(0, 10, 1), b = Table(0, 11, 2);
  EXPECT_OK(decode(a, b));
  EXPECT_STATUS(decode(b, a), kInvalidArgument) << "one encoding of each";
  EXPECT_STATUS(decode(a, a), kInvalidArgument);
  EXPECT_STATUS(decode(a, Table(10, 20, 2)), kInvalidArgument);
  EXPECT_STATUS(decode(a, b, kNow + kConvictionFor + absl::Seconds(11)), kUnavailable);
  EXPECT_STATUS(decode(a, b, kNow + kConvictionFor + absl::Minutes(61)), kInvalidArgument) << "over by any clock";
  EXPECT_STATUS(decode(a, b, kNow - absl::Minutes(61)), kUnavailable) << "from the future, or the clock is behind";
  Network other = network_;
  other.name = "other";
  EXPECT_STATUS(DecodeContradiction(other, MakeContradiction(HeadOf(a), HeadOf(b)).encoded, kNow), kFailedPrecondition);
}

TEST_F(ContradictionTest, WhatIsFoundIsCaughtAndConvictedOnlyWhenOthersSayIt) {
  Convictions convictions(network_);
  std::vector<base::Bytes> found;
  convictions.on_found = [&](const Contradiction& contradiction) { found.push_back(contradiction.encoded); };
  for (int i = 0; i < 10; ++i) convictions.Observe(Table(10 * i, 10 * i + 10, static_cast<uint8_t>(i % 3)), true, kNow);
  EXPECT_TRUE(found.empty());
  convictions.Observe(Table(88, 89, 7), true, kNow);
  ASSERT_EQ(found.size(), 1u);
  convictions.Observe(Table(86, 87, 8), true, kNow);
  EXPECT_EQ(found.size(), 1u) << "once";
  EXPECT_TRUE(convictions.IsCaught(key_.public_key(), kNow));
  EXPECT_FALSE(convictions.IsConvicted(key_.public_key(), kNow));
  EXPECT_TRUE(convictions.ProofsAfter({}, 10, kNow).empty()) << "nobody can ask for what was found here";
  EXPECT_OK(convictions.Hear(found[0], true, kNow));
  EXPECT_TRUE(convictions.IsConvicted(key_.public_key(), kNow));
  EXPECT_STATUS(convictions.Hear(found[0], true, kNow), kAlreadyExists);
  EXPECT_EQ(convictions.ProofsAfter({}, 10, kNow), found);
  EXPECT_TRUE(convictions.ProofsAfter(key_.public_key(), 10, kNow).empty());
  const absl::Time later = kNow + kConvictionFor + absl::Minutes(2);
  EXPECT_FALSE(convictions.IsCaught(key_.public_key(), later));
  EXPECT_EQ(convictions.CountConvicted(later), 0u);
}

TEST_F(ContradictionTest, AFloodOfStrangersDoesNotPushOutWhoIsKnown) {
  Convictions convictions(network_);
  const keys::SigningKey known = keys::SigningKey::Generate(rng_), later = keys::SigningKey::Generate(rng_);
  const auto hear = [&](bool is_known, int issued) {
    return convictions.Hear(Proof(keys::SigningKey::Generate(rng_), issued), is_known, kNow);
  };
  EXPECT_OK(convictions.Hear(Proof(known), true, kNow));
  for (size_t i = 0; i < kStrangersMax; ++i) EXPECT_OK(hear(false, 0));
  EXPECT_STATUS(hear(false, 0), kResourceExhausted);
  EXPECT_OK(hear(false, 1)) << "a later one takes a stranger's place";
  EXPECT_EQ(convictions.CountConvicted(kNow), kStrangersMax + 1);
  constexpr size_t kKnownMax = kConvictedMax - kStrangersMax - kFoundMax;
  for (size_t i = 1; i < kKnownMax; ++i) EXPECT_OK(hear(true, 1));
  EXPECT_TRUE(convictions.IsConvicted(known.public_key(), kNow));
  EXPECT_STATUS(hear(true, 0), kResourceExhausted);
  EXPECT_OK(convictions.Hear(Proof(later, 2), true, kNow)) << "instead of the known one whose time is over first";
  EXPECT_TRUE(convictions.IsConvicted(later.public_key(), kNow));
  EXPECT_FALSE(convictions.IsConvicted(known.public_key(), kNow));
  EXPECT_EQ(convictions.CountConvicted(kNow), kKnownMax + kStrangersMax);
  // What this process finds has places of its own, whatever is heard; the newest always.
  size_t found = 0;
  convictions.on_found = [&](const Contradiction&) { ++found; };
  for (size_t i = 0; i < kFoundMax + 1; ++i) {
    const keys::SigningKey liar = keys::SigningKey::Generate(rng_);
    convictions.Observe(Table(liar, -10, -9, 1), false, kNow);
    convictions.Observe(Table(liar, -10, -9, 2), false, kNow);
    EXPECT_TRUE(convictions.IsCaught(liar.public_key(), kNow));
    EXPECT_EQ(convictions.Caught(kNow).size(), kKnownMax + kStrangersMax + std::min(i + 1, kFoundMax));
  }
  EXPECT_EQ(found, kFoundMax + 1);
  EXPECT_OK(convictions.Hear(Proof(keys::SigningKey::Generate(rng_), 700'000), false, kNow + absl::Seconds(700'000)))
      << "those of last week made room";
}

// Nobody is spared a long conviction by a short one that was brought before.
TEST_F(ContradictionTest, OfTwoProofsTheOneThatLastsLongerStands) {
  constexpr int kDay = 24 * 3600;
  const auto hear = [&](Convictions& convictions, int issued) { return convictions.Hear(Proof(key_, issued), true, kNow); };
  const absl::Time late = kNow + kConvictionFor - absl::Hours(1);
  Convictions convictions(network_);
  EXPECT_OK(hear(convictions, -6 * kDay));
  EXPECT_FALSE(convictions.IsConvicted(key_.public_key(), late));
  EXPECT_OK(hear(convictions, 0)) << "news";
  EXPECT_TRUE(convictions.IsConvicted(key_.public_key(), late));
  EXPECT_STATUS(hear(convictions, -6 * kDay), kAlreadyExists);
  EXPECT_STATUS(hear(convictions, 3000), kAlreadyExists) << "longer, but not by much";
  // Found out here, to last longer than what others bring: that only makes it known.
  Convictions finder(network_);
  finder.Observe(Table(-1, 0, 1), true, kNow);
  finder.Observe(Table(-1, 0, 2), true, kNow);
  EXPECT_OK(hear(finder, -6 * kDay));
  EXPECT_TRUE(finder.IsConvicted(key_.public_key(), late));
}

TEST_F(ContradictionTest, OnlySoManyPointsAndTablesOfEachAreWatched) {
  Convictions convictions(network_);
  const RoutingTable old = Table(0, 10, 1);
  convictions.Observe(old, true, kNow);
  for (size_t i = 1; i <= kHeadsPerPoint; ++i) {
    const int issued = static_cast<int>(10 * i);
    convictions.Observe(Table(issued, issued + 10, 1), true, kNow);
  }
  convictions.Observe(Table(5, 6, 2), true, kNow);
  EXPECT_FALSE(convictions.IsCaught(key_.public_key(), kNow)) << "the oldest is forgotten";
  RoutingTable unsigned_own = Table(45, 46, 2);  // speaks for nobody
  unsigned_own.encoded.clear();
  unsigned_own.head.clear();
  convictions.Observe(unsigned_own, true, kNow);
  EXPECT_FALSE(convictions.IsCaught(key_.public_key(), kNow));
  convictions.Observe(Table(45, 46, 2), true, kNow);
  EXPECT_TRUE(convictions.IsCaught(key_.public_key(), kNow));
  const keys::SigningKey other = keys::SigningKey::Generate(rng_);
  convictions.Observe(Table(other, 0, 10, 1), true, kNow);
  for (size_t i = 0; i < kWatchedMax; ++i)
    convictions.Observe(Table(keys::SigningKey::Generate(rng_), 0, 10, 1), true, kNow + absl::Seconds(1));
  convictions.Observe(Table(other, 0, 10, 2), true, kNow);
  EXPECT_FALSE(convictions.IsCaught(other.public_key(), kNow));
}

}  // namespace
}  // namespace overlay
