// SPDX-License-Identifier: Apache-2.0
// Rings of real replicators under churn. The seed is the parameter: a failure names its replay.
#include <gtest/gtest.h>

#include <set>

#include "tests/dht/store_world.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Duration kQuiet = absl::Seconds(60);

class ReplicatorSim : public testing::TestWithParam<int> {
 protected:
  // Puts a random blob or note through a random member, relays included; remembers it if it was acknowledged.
  void PutSomething() {
    const base::Bytes body = base::ToBytes(world_.rng().Array<24>());
    const absl::Time expiry = world_.now() + absl::Hours(24 + static_cast<int64_t>(world_.rng().Below(48)));
    const Record record =
        world_.rng().Below(2) == 0 ? MakeBlob(body, expiry) : MakeNote(overlay::NodeId::Random(world_.rng()), body, expiry);
    world_.Put(world_.Pick(/*storing_only=*/false), record, /*pass_on=*/true,
               [this, record](const absl::StatusOr<DhtReply>& reply) {
                 const auto* put = AnswerAs<PutReply>(reply);
                 if (put != nullptr && put->result == PutResult::kStored && put->receipts.size() >= 2)
                   acknowledged_.push_back(record);
               });
  }
  void PutSome(int count) {
    for (int i = 0; i < count; ++i) {
      PutSomething();
      world_.RunFor(absl::Milliseconds(static_cast<int64_t>(world_.rng().Below(200))));
    }
  }

  void ExpectNothingLost() {
    for (const Record& record : acknowledged_) EXPECT_GE(world_.HoldersOf(record.name).size(), 1u) << "lost at " << world_.now();
  }
  // Every acknowledged record exactly at its holders, nothing unverified anywhere, relays empty.
  void ExpectInPlace() {
    for (const Record& record : acknowledged_) {
      const std::vector<overlay::Peer> holders = world_.HoldersOf(record.name);
      const std::vector<overlay::Peer> expected = world_.ring().Holders(record.name.point);
      EXPECT_EQ(holders.size(), expected.size());
      for (const overlay::Peer& peer : expected) EXPECT_TRUE(ContainsProcess(holders, peer.node_key));
    }
    for (const auto& node : world_.nodes()) ExpectCleanStore(*node);
  }
  void ExpectCleanStore(StoreWorld::Node& node) {
    if (node.peer.role == overlay::Role::kRelay) {
      EXPECT_EQ(node.store->counts().records, 0u);
    }
    const overlay::NodeId zero;
    EXPECT_OK(node.store->Scan({zero, zero}, std::nullopt, world_.now(), [&](const HeldName& held) {
      EXPECT_OK(world_.kinds().Check(*node.store->Get(held.name, world_.now()), Source::kReplica, world_.now()));
      return true;
    }));
    if (node.alive && world_.ring().Has(node.peer)) {
      EXPECT_EQ(node.core->Stats().misplaced, 0u);
    }
  }
  void StartRing(int storing, int relays) {
    for (int i = 0; i < storing; ++i) world_.AddMember();
    for (int i = 0; i < relays; ++i) world_.AddMember(overlay::Role::kRelay);
    world_.RunFor(absl::Seconds(5));
  }

  StoreWorld world_{static_cast<uint64_t>(GetParam())};
  std::vector<Record> acknowledged_;
};

TEST_P(ReplicatorSim, AcknowledgedRecordsSurviveEveryKillThatRepairHasTimeFor) {
  StartRing(8, 2);
  PutSome(30);
  world_.RunFor(absl::Seconds(5));
  EXPECT_EQ(acknowledged_.size(), 30u);
  for (int kill = 0; kill < 5; ++kill) {
    world_.Kill(world_.Pick(/*storing_only=*/true));
    PutSome(5);
    ExpectNothingLost();
    world_.RunFor(kQuiet);
    ExpectInPlace();
  }
  EXPECT_EQ(world_.ring().members().size(), 5u);
}

TEST_P(ReplicatorSim, JoinersHaveTheirRangeBeforeTheyAreMembers) {
  StartRing(2, 1);
  PutSome(20);
  for (int join = 0; join < 8; ++join) {
    StoreWorld::Node& node = world_.NewNode();
    world_.RunFor(kQuiet);
    world_.Join(node);
    while (!world_.ring().Has(node.peer)) world_.RunFor(absl::Milliseconds(1));
    for (const Record& record : acknowledged_) {
      if (ContainsProcess(world_.ring().Holders(record.name.point), node.peer.node_key)) {
        EXPECT_TRUE(node.store->Holds(record.name, world_.now()));
      }
    }
  }
  world_.RunFor(kQuiet);
  ExpectInPlace();
  EXPECT_EQ(world_.failed_joins(), 0);
}

TEST_P(ReplicatorSim, ALeaverHandsOverBeforeItGoes) {
  StartRing(7, 1);
  PutSome(25);
  world_.RunFor(absl::Seconds(5));
  for (int leave = 0; leave < 3; ++leave) {
    StoreWorld::Node& leaver = world_.Pick(/*storing_only=*/true);
    bool left = false;
    world_.Leave(leaver, absl::Seconds(20), [&](bool complete) {
      left = true;
      EXPECT_TRUE(complete);
      for (const Record& record : acknowledged_) {
        EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
      }
    });
    world_.RunFor(absl::Seconds(25));
    EXPECT_TRUE(left);
    world_.RunFor(kQuiet);
    ExpectInPlace();
  }
}

TEST_P(ReplicatorSim, NothingAcknowledgedIsLostInChurn) {
  StartRing(10, 2);
  for (int step = 0; step < 12; ++step) {
    PutSome(4);
    const uint64_t kind = world_.rng().Below(3);
    if (kind == 0 || world_.Members(/*storing_only=*/true).size() < 6) {
      world_.Join(world_.NewNode(world_.rng().Below(4) == 0 ? overlay::Role::kRelay : overlay::Role::kStoring));
    } else if (kind == 1) {
      world_.Kill(world_.Pick(/*storing_only=*/true));
    } else {
      world_.Leave(world_.Pick(/*storing_only=*/true), absl::Seconds(5), [](bool) {});
    }
    PutSome(4);
    world_.RunFor(absl::Seconds(20));
    ExpectNothingLost();
  }
  world_.RunFor(kQuiet);
  EXPECT_GT(acknowledged_.size(), 80u);
  ExpectInPlace();
}

TEST_P(ReplicatorSim, WhatIsAcknowledgedIsReadFromAnyMember) {
  StartRing(9, 2);
  PutSome(20);
  world_.Kill(world_.Pick(/*storing_only=*/true));
  world_.RunFor(absl::Seconds(2));
  size_t found = 0, blobs = 0;
  for (const Record& record : acknowledged_) {
    if (record.name.kind != Kind::kBlob) continue;
    ++blobs;
    world_.Get(world_.Pick(/*storing_only=*/false), record.name, /*pass_on=*/true, [&](const absl::StatusOr<DhtReply>& reply) {
      const auto* get = AnswerAs<GetReply>(reply);
      if (get != nullptr && get->record == record) ++found;
    });
  }
  world_.RunFor(absl::Seconds(20));
  EXPECT_GT(blobs, 0u);
  EXPECT_EQ(found, blobs);
}

// A tombstone that one replica took beats the note that the others still hold, and the note does not come back.
TEST_P(ReplicatorSim, DeletionsSpreadAndStay) {
  StartRing(6, 0);
  const Record note = MakeNote(overlay::NodeId::Random(world_.rng()), base::AsBytes("gone soon"), world_.now() + absl::Hours(20));
  const Record tombstone = MakeTombstone({note}, world_.now() + absl::Hours(40));
  StoreWorld::Node& first = world_.Pick(/*storing_only=*/true);
  world_.Put(first, note, /*pass_on=*/true, [](const auto&) {});
  world_.RunFor(absl::Seconds(8));
  EXPECT_EQ(world_.HoldersOf(note.name).size(), 3u);
  for (const auto& node : world_.nodes()) {  // one replica only, as if the two others had missed it
    if (node->peer == world_.ring().Holders(note.name.point).front()) {
      world_.ChangeDisk(*node, {.puts = {tombstone}, .removes = {note.name}});
    }
  }
  world_.RunFor(kQuiet);
  EXPECT_EQ(world_.HoldersOf(tombstone.name).size(), 3u);
  EXPECT_EQ(world_.HoldersOf(note.name).size(), 0u);
  world_.Put(first, note, /*pass_on=*/true, [](const absl::StatusOr<DhtReply>& reply) {
    EXPECT_EQ(AnswerAs<PutReply>(reply)->result, PutResult::kStored) << "a deleted id is answered like a new one";
  });
  world_.RunFor(kQuiet);
  EXPECT_EQ(world_.HoldersOf(note.name).size(), 0u);
}

TEST_P(ReplicatorSim, AnEmptiedNodeFillsUpAgainAndNothingIsDeletedElsewhere) {
  StartRing(6, 0);
  PutSome(20);
  world_.RunFor(absl::Seconds(5));
  StoreWorld::Node& node = world_.Pick(/*storing_only=*/true);
  WriteBatch all;
  const overlay::NodeId zero;
  EXPECT_OK(node.store->Scan({zero, zero}, std::nullopt, world_.now(), [&](const HeldName& held) {
    all.removes.push_back(held.name);
    return true;
  }));
  world_.ChangeDisk(node, all);
  node.store->SetSuspect(true);
  world_.RunFor(kQuiet);
  ExpectInPlace();
  EXPECT_FALSE(node.store->suspect()) << "a clean round of repair clears the mark";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplicatorSim, testing::Range(0, 12));

}  // namespace
}  // namespace dht
