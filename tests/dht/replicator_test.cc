// SPDX-License-Identifier: Apache-2.0
// One replicator at a time, seen from its neighbours: reads, refusals, who may read and push what, leaving.
#include "dht/replicator.h"
#include "dht/place_syncs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tests/dht/replicator_fixture.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

TEST_F(ReplicatorTest, ForgedAndExpiredRecordsAreRefusedEverywhere) {
  StartRing(4);
  Record forged = Blob("a");
  forged.body[0] ^= 1;
  Record late = MakeBlob(base::AsBytes("b"), world_.now());
  for (const Record& record : {forged, late}) {
    EXPECT_EQ(PutAt(Holder(record.name.point, 0), record).result, PutResult::kRefused);
    const auto reply =
        RequestAt(Holder(record.name.point, 0), CallerOf(Holder(record.name.point, 1)), ReplicateRequest{{record}});
    EXPECT_EQ(CopyAnswer(reply)->result, PutResult::kRefused);
    EXPECT_TRUE(world_.HoldersOf(record.name).empty());
  }
}

TEST_F(ReplicatorTest, NewPresentAndDeletedIdsGetTheSameAnswer) {
  StartRing(5);
  const Record note = MakeNote(overlay::NodeId::Random(world_.rng()), base::AsBytes("n"), world_.now() + absl::Hours(1));
  StoreWorld::Node& owner = Holder(note.name.point, 0);
  const PutReply fresh = PutAt(owner, note);
  const PutReply present = PutAt(owner, note);
  PutAt(owner, MakeTombstone({note}, world_.now() + absl::Hours(2)));
  const PutReply deleted = PutAt(owner, note);
  for (const PutReply& reply : {fresh, present, deleted}) {
    EXPECT_EQ(reply.result, PutResult::kStored);
    EXPECT_EQ(reply.detail, 0u);
    EXPECT_EQ(reply.receipts.size(), 3u);
  }
  EXPECT_TRUE(world_.HoldersOf(note.name).empty());
}

TEST_F(ReplicatorTest, AFullPlaceSaysWhatItWouldTake) {
  StartRing(4);
  const overlay::NodeId point = overlay::NodeId::Random(world_.rng());
  std::vector<Record> notes;
  for (int i = 0; i < 40; ++i) {
    notes.push_back(MakeNote(point, base::AsBytes("note " + std::to_string(i)), world_.now() + absl::Hours(1)));
  }
  std::sort(notes.begin(), notes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (size_t i = 0; i < kNotesPerPlace; ++i) EXPECT_EQ(PutAt(Holder(point, 0), notes[i]).result, PutResult::kStored);
  const PutReply full = PutAt(Holder(point, 0), notes[20]);
  EXPECT_EQ(full.result, PutResult::kFull);
  EXPECT_EQ(full.detail, 7u);
  EXPECT_TRUE(full.receipts.empty());
}

TEST_F(ReplicatorTest, AbsentNeedsAWitnessFoundDoesNot) {
  StartRing(6);
  const Record record = Blob("a");
  StoreWorld::Node& owner = Holder(record.name.point, 0);
  EXPECT_TRUE(GetAt(owner, record.name).complete);
  PutAt(owner, record);
  Silence(Holder(record.name.point, 1));
  Silence(Holder(record.name.point, 2));
  EXPECT_EQ(GetAt(owner, record.name).record, record);
  const Record never = Blob("never");
  StoreWorld::Node& lonely = Holder(never.name.point, 0);
  for (const auto& node : world_.nodes()) {
    if (node.get() != &lonely) Silence(*node);
  }
  const GetReply reply = GetAt(lonely, never.name);
  EXPECT_FALSE(reply.record.has_value());
  EXPECT_FALSE(reply.complete);
}

TEST_F(ReplicatorTest, ASuspectStoreIsNoWitnessButStillHelps) {
  StartRing(6);
  const Record absent = Blob("absent");
  Holder(absent.name.point, 0).store->SetSuspect(true);
  Silence(Holder(absent.name.point, 2));
  EXPECT_FALSE(GetAt(Holder(absent.name.point, 0), absent.name).complete) << "only one other answered";
  EXPECT_FALSE(GetAt(Holder(absent.name.point, 1), absent.name).complete) << "the other that answered is suspect";
}

TEST_F(ReplicatorTest, AStoreThatCannotBeReadJustNowIsNoWitnessAndLosesNothing) {
  StartRing(6);
  const Record record = Blob("a");
  PutAt(Holder(record.name.point, 0), record);
  StoreWorld::Node& blind = Holder(record.name.point, 0);
  blind.store->SetBlind(true);
  Silence(Holder(record.name.point, 2));
  EXPECT_EQ(GetAt(blind, record.name).record, record) << "from another one";
  EXPECT_EQ(GetAt(Holder(record.name.point, 1), record.name).record, record);
  const Record never = Blob("never");
  Holder(never.name.point, 0).store->SetBlind(true);
  Silence(Holder(never.name.point, 2));
  EXPECT_FALSE(GetAt(Holder(never.name.point, 0), never.name).complete) << "only one other answered";
  EXPECT_FALSE(GetAt(Holder(never.name.point, 1), never.name).complete) << "the other one could not look";
  blind.store->SetBlind(false);
  world_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(blind.store->Holds(record.name, world_.now()));
}

TEST_F(ReplicatorTest, AGetRepairsInPassing) {
  StartRing(6);
  const Record record = Blob("a");
  world_.ChangeDisk(Holder(record.name.point, 2), {.puts = {record}});
  EXPECT_EQ(GetAt(Holder(record.name.point, 0), record.name).record, record);
  world_.RunFor(absl::Milliseconds(100));
  EXPECT_TRUE(Holder(record.name.point, 0).store->Holds(record.name, world_.now()));
}

TEST_F(ReplicatorTest, NotesHaveNoGet) {
  StartRing(4);
  const Record note = MakeNote(overlay::NodeId::Random(world_.rng()), base::AsBytes("n"), world_.now() + absl::Hours(1));
  PutAt(Holder(note.name.point, 0), note);
  EXPECT_STATUS(RequestAt(Holder(note.name.point, 0), CallerOf(Holder(note.name.point, 1)), GetRequest{note.name}),
                kInvalidArgument);
}

TEST_F(ReplicatorTest, APlaceIsMadeCompleteFromAnotherReplica) {
  StartRing(6);
  const Record note = MakeNote(overlay::NodeId::Random(world_.rng()), base::AsBytes("n"), world_.now() + absl::Hours(1));
  world_.ChangeDisk(Holder(note.name.point, 1), {.puts = {note}});
  StoreWorld::Node& asked = Holder(note.name.point, 2);
  EXPECT_TRUE(SyncAt(asked, note.name.point));
  EXPECT_TRUE(asked.store->Holds(note.name, world_.now()));
  EXPECT_FALSE(SyncAt(Holder(note.name.point, 4), note.name.point)) << "not responsible";
  Silence(Holder(note.name.point, 0));
  Silence(Holder(note.name.point, 1));
  world_.RunFor(kPlaceFresh);
  EXPECT_FALSE(SyncAt(asked, note.name.point)) << "nobody else answers";
}

TEST_F(ReplicatorTest, ClientsAndStrangersGetNothing) {
  StartRing(8);
  const Record record = Blob("a");
  PutAt(Holder(record.name.point, 0), record);
  StoreWorld::Node& owner = Holder(record.name.point, 0);
  const overlay::RingRange around{world_.ring().Around(owner.peer, true).predecessors.front().point, owner.peer.point};
  const DhtCaller client{keys::SigningKey::Generate(world_.rng()).public_key(), {}};
  for (const DhtRequest& request :
       std::vector<DhtRequest>{PutRequest{{record}}, GetRequest{record.name}, ReplicateRequest{{record}},
                               FetchRequest{{record.name}}, DigestRequest{around}, NamesRequest{around}}) {
    EXPECT_STATUS(RequestAt(owner, client, request), kPermissionDenied);
  }
  // A node far away: may put like anybody, but neither push nor read the range.
  const DhtCaller far = CallerOf(Holder(record.name.point, 5));
  EXPECT_STATUS(RequestAt(owner, far, DigestRequest{around}), kPermissionDenied);
  const auto names = RequestAt(owner, far, NamesRequest{around});
  EXPECT_TRUE(AnswerAs<NamesReply>(names)->names.empty());
  const auto fetched = RequestAt(owner, far, FetchRequest{{record.name}});
  EXPECT_TRUE(AnswerAs<FetchReply>(fetched)->records.empty());
}

TEST_F(ReplicatorTest, ACopyIsTakenFromNeighboursOnly) {
  StartRing(14);
  const Record record = Blob("a");
  StoreWorld::Node& owner = Holder(record.name.point, 0);
  const auto pushed = [&](const StoreWorld::Node& caller, StoreWorld::Node& to) {
    return CopyAnswer(RequestAt(to, CallerOf(caller), ReplicateRequest{{record}}))->result;
  };
  EXPECT_EQ(pushed(Holder(record.name.point, 7), owner), PutResult::kNotResponsible);
  EXPECT_EQ(pushed(Holder(record.name.point, 1), Holder(record.name.point, 5)), PutResult::kNotResponsible);
  EXPECT_TRUE(world_.HoldersOf(record.name).empty());
  EXPECT_EQ(pushed(Holder(record.name.point, 3), owner), PutResult::kStored) << "a spare copy of a neighbour";
  EXPECT_EQ(pushed(Holder(record.name.point, 1), Holder(record.name.point, 3)), PutResult::kStored) << "of a holder who leaves";
}

TEST_F(ReplicatorTest, ASpareCopyIsGivenUpOnlyForReceiptsOfAll) {
  StartRing(6);
  const Record record = Blob("a");
  StoreWorld::Node& outsider = Holder(record.name.point, 4);
  world_.ChangeDisk(outsider, {.puts = {record}});
  StoreWorld::Node& refusing = Holder(record.name.point, 1);
  refusing.store->FailNext(1'000'000);
  world_.RunFor(absl::Seconds(30));
  EXPECT_TRUE(outsider.store->Holds(record.name, world_.now()));
  EXPECT_EQ(outsider.core->Stats().misplaced, 1u);
  EXPECT_EQ(GetAt(outsider, record.name).record, record) << "still answered";
  refusing.store->FailNext(0);
  world_.RunFor(absl::Seconds(30));
  EXPECT_FALSE(outsider.store->Holds(record.name, world_.now()));
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
}

TEST_F(ReplicatorTest, ASpareCopyFarFromHomeFindsItsHolders) {
  StartRing(20);
  const Record record = Blob("a");
  StoreWorld::Node& outsider = Holder(record.name.point, 10);
  world_.ChangeDisk(outsider, {.puts = {record}});
  world_.RunFor(absl::Seconds(30));
  EXPECT_FALSE(outsider.store->Holds(record.name, world_.now()));
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
}

TEST_F(ReplicatorTest, ALeaverRefusesPutsAndStillAnswersReads) {
  StartRing(6);
  const Record record = Blob("a");
  PutAt(Holder(record.name.point, 0), record);
  StoreWorld::Node& leaver = Holder(record.name.point, 0);
  leaver.on_handed_over = [](bool) {};
  (void)leaver.core->HandOver(world_.now() + absl::Seconds(5), {world_.now(), world_.now()});
  EXPECT_EQ(PutAt(leaver, record).result, PutResult::kNotResponsible);
  EXPECT_EQ(GetAt(leaver, record.name).record, record);
  const auto fetched = RequestAt(leaver, CallerOf(Holder(record.name.point, 1)), FetchRequest{{record.name}});
  EXPECT_EQ(AnswerAs<FetchReply>(fetched)->records.size(), 1u);
}

TEST_F(ReplicatorTest, WhenAllLeaveAtOnceNobodyWaitsForTheDeadline) {
  StartRing(4);
  for (int i = 0; i < 20; ++i) PutAt(*world_.nodes()[0], Blob(std::to_string(i)), /*pass_on=*/true);
  size_t gone = 0;
  for (const auto& node : world_.nodes()) {
    world_.Leave(*node, absl::Seconds(60), [&](bool) { ++gone; });
  }
  EXPECT_LT(Wait([&] { return gone == world_.nodes().size(); }), absl::Seconds(10));
}

TEST_F(ReplicatorTest, ALeaverWhoseTakersDieWaitsForTheNextOnes) {
  StartRing(8);
  const Record record = Blob("a");
  PutAt(Holder(record.name.point, 0), record);
  StoreWorld::Node& leaver = Holder(record.name.point, 2);
  for (const size_t i : {0, 1, 3}) Silence(Holder(record.name.point, i));
  const std::vector<overlay::Peer> others = world_.ring().Holders(record.name.point, 7);
  std::optional<bool> complete;
  world_.Leave(leaver, absl::Seconds(60), [&](bool all) { complete = all; });
  world_.RunFor(absl::Seconds(1));
  for (const size_t i : {3, 1, 0}) world_.Kill(NodeOf(others[i]));  // now the ring knows
  Wait([&] { return complete.has_value(); });
  EXPECT_EQ(complete, true);
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
}

TEST_F(ReplicatorTest, TheOnlyNodeOfARingStoresAndJoinsAtOnce) {
  StoreWorld::Node& only = world_.NewNode();
  world_.Join(only);
  world_.RunFor(absl::Milliseconds(10));
  ASSERT_TRUE(world_.ring().Has(only.peer));
  const Record record = Blob("a");
  const PutReply reply = PutAt(only, record);
  EXPECT_EQ(reply.result, PutResult::kStored);
  EXPECT_EQ(reply.receipts.size(), 1u) << "the asker sees that this is under W";
  EXPECT_EQ(GetAt(only, record.name).record, record);
  EXPECT_FALSE(GetAt(only, Blob("never").name).complete);
}

TEST_F(ReplicatorTest, ExpiredRecordsAreSweptAway) {
  StartRing(3);
  const Record brief = MakeBlob(base::AsBytes("brief"), world_.now() + absl::Seconds(20));
  PutAt(Holder(brief.name.point, 0), brief);
  EXPECT_EQ(world_.nodes().front()->store->counts().records, 1u);
  world_.RunFor(absl::Seconds(30));
  for (const auto& node : world_.nodes()) EXPECT_EQ(node->store->counts().records, 0u);
}

TEST_F(ReplicatorTest, StatsCountOwnAndAll) {
  StartRing(3);
  uint64_t owned = 0;
  for (int i = 0; i < 10; ++i) PutAt(*world_.nodes().front(), Blob("record " + std::to_string(i)));
  for (const auto& node : world_.nodes()) {
    const ReplicatorStats stats = node->core->Stats();
    EXPECT_EQ(stats.records, 10u);
    EXPECT_EQ(stats.misplaced, 0u);
    EXPECT_EQ(stats.state, "ok");
    owned += stats.owned;
  }
  EXPECT_EQ(owned, 10u);
}

TEST_F(ReplicatorTest, RangeCallsAreRateLimited) {
  StartRing(3);
  StoreWorld::Node& asked = *world_.nodes()[0];
  const DhtCaller caller = CallerOf(*world_.nodes()[1]);
  const overlay::RingRange all{asked.peer.point, asked.peer.point};
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    world_.Request(asked, caller, NamesRequest{all},
                   [&](const absl::StatusOr<DhtReply>& reply) { refused += absl::IsResourceExhausted(reply.status()) ? 1 : 0; });
  }
  world_.RunFor(absl::Milliseconds(10));
  EXPECT_GT(refused, 1500);
  world_.RunFor(absl::Seconds(3));
  EXPECT_OK(RequestAt(asked, caller, NamesRequest{all}));
}

}  // namespace
}  // namespace dht
