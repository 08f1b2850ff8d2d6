// SPDX-License-Identifier: Apache-2.0
// One replicator at a time, seen from its neighbours: quorums, refusals, who may read and push what.
#include "dht/replicator.h"
#include "dht/place_syncs.h"
#include "dht/put_rounds.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/dht/store_world.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

class ReplicatorTest : public testing::Test {
 protected:
  void StartRing(int storing) {
    for (int i = 0; i < storing; ++i) world_.AddMember();
    world_.RunFor(absl::Seconds(5));
  }
  StoreWorld::Node& NodeOf(const overlay::Peer& peer) {
    for (const auto& node : world_.nodes()) {
      if (node->peer == peer) return *node;
    }
    return *world_.nodes().front();
  }
  // The i-th holder of that point; past R: processes that are not.
  StoreWorld::Node& Holder(const overlay::NodeId& point, size_t i) { return NodeOf(world_.ring().Holders(point, 100)[i]); }
  Record Blob(std::string_view text) { return MakeBlob(base::AsBytes(text), world_.now() + absl::Hours(20)); }
  DhtCaller CallerOf(const StoreWorld::Node& node) { return {node.peer.node_key, {node.peer}}; }

  PutReply PutAt(StoreWorld::Node& node, const Record& record, bool pass_on = false) {
    std::optional<PutReply> answer;
    world_.Put(node, record, pass_on, [&](const absl::StatusOr<DhtReply>& reply) { answer = *AnswerAs<PutReply>(reply); });
    answered_after_ = Wait([&] { return answer.has_value(); });
    return answer.value_or(PutReply{});
  }
  GetReply GetAt(StoreWorld::Node& node, const RecordName& name, bool pass_on = false) {
    std::optional<GetReply> answer;
    world_.Get(node, name, pass_on, [&](const absl::StatusOr<DhtReply>& reply) { answer = *AnswerAs<GetReply>(reply); });
    answered_after_ = Wait([&] { return answer.has_value(); });
    return answer.value_or(GetReply{});
  }
  absl::StatusOr<DhtReply> RequestAt(StoreWorld::Node& node, const DhtCaller& caller, DhtRequest request) {
    std::optional<absl::StatusOr<DhtReply>> answer;
    world_.Request(node, caller, std::move(request), [&](const absl::StatusOr<DhtReply>& reply) { answer = reply; });
    Wait([&] { return answer.has_value(); });
    return answer.value_or(absl::UnknownError("no answer"));
  }
  bool SyncAt(StoreWorld::Node& node, const overlay::NodeId& point) {
    std::optional<bool> answer;
    world_.SyncPlace(node, point, [&](bool complete) { answer = complete; });
    Wait([&] { return answer.has_value(); });
    return answer.value_or(false);
  }
  absl::Duration Wait(const std::function<bool()>& done) {
    const absl::Time start = world_.now();
    while (!done() && world_.now() < start + absl::Seconds(30)) world_.RunFor(absl::Milliseconds(1));
    EXPECT_TRUE(done()) << "no answer";
    return world_.now() - start;
  }
  // Dead, but the ring has not noticed.
  void Silence(StoreWorld::Node& node) { node.alive = false; }

  StoreWorld world_{42};
  absl::Duration answered_after_;
};

TEST_F(ReplicatorTest, APutIsOnThreeDisksWhenAllAnswer) {
  StartRing(6);
  const Record record = Blob("a");
  const PutReply reply = PutAt(Holder(record.name.point, 0), record);
  EXPECT_EQ(reply.result, PutResult::kStored);
  ASSERT_EQ(reply.receipts.size(), 3u);
  std::set<keys::PublicKey> signers;
  for (const Receipt& receipt : reply.receipts) {
    EXPECT_TRUE(VerifyReceipt("local", receipt, record.name, record.expiry));
    EXPECT_TRUE(ContainsProcess(world_.ring().Holders(record.name.point), receipt.node_key));
    signers.insert(receipt.node_key);
  }
  EXPECT_EQ(signers.size(), 3u);
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
}

TEST_F(ReplicatorTest, WithTwoReceiptsItWaitsThreeHundredMillisecondsForTheThird) {
  StartRing(6);
  const Record record = Blob("a");
  Silence(Holder(record.name.point, 2));
  const PutReply reply = PutAt(Holder(record.name.point, 0), record);
  EXPECT_EQ(reply.receipts.size(), 2u);
  EXPECT_GE(answered_after_, kRoundGrace);
  EXPECT_LE(answered_after_, kRoundGrace + absl::Milliseconds(100));
}

TEST_F(ReplicatorTest, WithOneItSaysSoAfterItsTimeouts) {
  StartRing(6);
  const Record record = Blob("a");
  Silence(Holder(record.name.point, 1));
  Silence(Holder(record.name.point, 2));
  const PutReply reply = PutAt(Holder(record.name.point, 0), record);
  EXPECT_EQ(reply.result, PutResult::kStored);
  EXPECT_EQ(reply.receipts.size(), 1u);
  EXPECT_LE(answered_after_, kRoundTimeout + absl::Milliseconds(10));
}

TEST_F(ReplicatorTest, AFullDiskHereLeavesTheOthers) {
  StartRing(6);
  const Record record = Blob("a");
  Holder(record.name.point, 0).store->FailNext(1);
  const PutReply reply = PutAt(Holder(record.name.point, 0), record);
  EXPECT_EQ(reply.result, PutResult::kStored);
  EXPECT_EQ(reply.receipts.size(), 2u);
}

TEST_F(ReplicatorTest, NoSpaceAnywhereIsSaid) {
  StartRing(3);
  const Record record = Blob("a");
  for (size_t i = 0; i < 3; ++i) Holder(record.name.point, i).store->FailNext(1);
  const PutReply reply = PutAt(Holder(record.name.point, 0), record);
  EXPECT_EQ(reply.result, PutResult::kNoSpace);
  EXPECT_TRUE(reply.receipts.empty());
}

TEST_F(ReplicatorTest, ANeighbourThatFloodsLeavesRoomForOthers) {
  world_.set_bytes_max(100'000);
  StartRing(3);
  StoreWorld::Node& node = *world_.nodes()[0];
  const auto put = [&](const StoreWorld::Node& caller, int number) {
    base::Bytes body(1000);
    body[0] = static_cast<uint8_t>(number);
    const auto reply = RequestAt(node, CallerOf(caller), PutRequest{{MakeBlob(body, world_.now() + absl::Hours(20))}});
    return CopyAnswer(reply)->result;
  };
  int stored = 0;
  for (int i = 0; i < 120; ++i) stored += put(*world_.nodes()[1], i) == PutResult::kStored ? 1 : 0;
  EXPECT_GT(stored, 40);
  EXPECT_LT(stored, 50);
  EXPECT_EQ(put(*world_.nodes()[1], 200), PutResult::kNoSpace);
  EXPECT_EQ(put(*world_.nodes()[2], 201), PutResult::kStored);
}

TEST_F(ReplicatorTest, TheWrongNodeSaysWhoIsResponsibleAndStoresNothing) {
  StartRing(8);
  const Record record = Blob("a");
  StoreWorld::Node& wrong = Holder(record.name.point, 4);
  const PutReply reply = PutAt(wrong, record);
  EXPECT_EQ(reply.result, PutResult::kNotResponsible);
  EXPECT_EQ(reply.responsible, world_.ring().Holders(record.name.point));
  EXPECT_TRUE(world_.HoldersOf(record.name).empty());
  const PutReply passed_on = PutAt(wrong, record, /*pass_on=*/true);
  EXPECT_EQ(passed_on.receipts.size(), 3u);
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 3u);
}

// A holder that gives bad receipts neither counts nor ends the wait for those who give good ones.
TEST_F(ReplicatorTest, BadReceiptsAreNoReasonToStopWaiting) {
  StartRing(6);
  const Record record = Blob("a");
  StoreWorld::Node& owner = Holder(record.name.point, 0);
  std::vector<CallId> calls;
  const Moment moment{world_.now(), world_.now()};
  DhtActions actions = owner.core->OnPut(77, record, /*pass_on=*/false, moment);
  std::vector<WriteId> writes;
  for (const DhtAction& action : actions) {
    if (const auto* call = std::get_if<Call>(&action)) calls.push_back(call->id);
    if (const auto* write = std::get_if<Write>(&action)) {
      ASSERT_OK(owner.store->Apply(write->batch));
      writes.push_back(write->id);
    }
  }
  ASSERT_EQ(calls.size(), 2u);
  for (const WriteId write : writes) EXPECT_TRUE(owner.core->OnApplied(write, absl::OkStatus(), moment).empty());
  const ReplicateReply bad{.result = PutResult::kStored,
                           .receipt = Receipt{.node_key = Holder(record.name.point, 1).peer.node_key}};
  EXPECT_TRUE(owner.core->OnReply(calls[0], DhtReply(bad), moment).empty());
  const auto replies = [&](absl::Duration later) {
    size_t count = 0;
    for (const DhtAction& action : owner.core->OnTick({moment.now + later, moment.wall_now})) {
      const auto* respond = std::get_if<Respond>(&action);
      if (respond == nullptr || respond->id != 77) continue;
      ++count;
      EXPECT_EQ(AnswerAs<PutReply>(respond->reply)->receipts.size(), 1u);
    }
    return count;
  };
  EXPECT_EQ(replies(kRoundGrace + absl::Milliseconds(1)), 0u);
  EXPECT_EQ(replies(kRoundTimeout), 1u);
}

// The copies of a put from elsewhere: each holder keeps one and asks nobody.
TEST_F(ReplicatorTest, AnotherNodesPutIsOneCopy) {
  StartRing(6);
  const Record record = Blob("a");
  StoreWorld::Node& asker = Holder(record.name.point, 5);
  StoreWorld::Node& holder = Holder(record.name.point, 1);
  Record forged = Blob("b");
  forged.body[0] ^= 1;
  const auto reply = RequestAt(holder, CallerOf(asker), PutRequest{{forged, record, record}});
  const auto* put = AnswerAs<CopiesReply>(reply);
  ASSERT_NE(put, nullptr);
  ASSERT_EQ(put->copies.size(), 3u);
  EXPECT_EQ(put->copies[0].result, PutResult::kRefused);
  EXPECT_FALSE(put->copies[0].receipt);
  for (const size_t i : {1, 2}) {
    EXPECT_EQ(put->copies[i].result, PutResult::kStored);
    ASSERT_TRUE(put->copies[i].receipt);
    EXPECT_EQ(put->copies[i].receipt->node_key, holder.peer.node_key);
  }
  EXPECT_EQ(world_.HoldersOf(record.name).size(), 1u);
  const auto wrong = RequestAt(Holder(record.name.point, 4), CallerOf(asker), PutRequest{{record}});
  EXPECT_EQ(CopyAnswer(wrong)->result, PutResult::kNotResponsible);
}

// While a call to a holder is under way, further records wait for it and then go together; a silent one holds nobody up.
TEST_F(ReplicatorTest, PutsToOneHolderGoTogether) {
  StartRing(3);
  StoreWorld::Node& user = world_.AddMember(overlay::Role::kRelay);
  world_.RunFor(absl::Seconds(5));
  Silence(Holder(Blob("0").name.point, 2));
  int stored = 0;
  for (int i = 0; i < 200; ++i) {
    world_.Put(user, Blob(std::to_string(i)), /*pass_on=*/true, [&](const absl::StatusOr<DhtReply>& reply) {
      const auto* put = AnswerAs<PutReply>(reply);
      stored += put != nullptr && put->result == PutResult::kStored && put->receipts.size() == 2 ? 1 : 0;
    });
  }
  world_.RunFor(kRoundGrace + absl::Milliseconds(500));
  EXPECT_EQ(stored, 200);
}

// The same quorum, grace and reasons as at a holder.
TEST_F(ReplicatorTest, AUsersPutElsewhereGoesStraightToTheHolders) {
  StartRing(8);
  const Record first = Blob("a");
  StoreWorld::Node& user = Holder(first.name.point, 5);
  EXPECT_EQ(PutAt(user, first, /*pass_on=*/true).receipts.size(), 3u);
  Silence(Holder(first.name.point, 0));
  const PutReply two = PutAt(user, first, /*pass_on=*/true);
  EXPECT_EQ(two.result, PutResult::kStored);
  EXPECT_EQ(two.receipts.size(), 2u);
  EXPECT_LE(answered_after_, kRoundGrace + absl::Milliseconds(100)) << "a silent owner holds nobody up";
  Silence(Holder(first.name.point, 1));
  Silence(Holder(first.name.point, 2));
  EXPECT_EQ(PutAt(user, first, /*pass_on=*/true).result, PutResult::kUnknown);
  EXPECT_LE(answered_after_, 2 * kRoundTimeout + absl::Milliseconds(100)) << "once as remembered, once as looked up";
}

TEST_F(ReplicatorTest, WhyAPutElsewhereFailedIsSaid) {
  StartRing(8);
  const Record record = Blob("a");
  for (size_t i = 0; i < 3; ++i) Holder(record.name.point, i).store->FailNext(2);
  EXPECT_EQ(PutAt(Holder(record.name.point, 5), record, /*pass_on=*/true).result, PutResult::kNoSpace);
}

// A node that joined since the last lookup has its copy at once, not at the next repair.
TEST_F(ReplicatorTest, AHolderThatIsNoneAnyMoreIsLookedUpAgain) {
  StartRing(8);
  const auto outsider = [&](const Record& record) -> StoreWorld::Node& { return Holder(record.name.point, 6); };
  const Record first = Blob("a");
  StoreWorld::Node& user = outsider(first);
  PutAt(user, first, /*pass_on=*/true);
  const std::vector<overlay::Peer> before = world_.ring().Holders(first.name.point);
  for (int i = 0; i < 40 && world_.ring().Holders(first.name.point) == before; ++i) world_.AddMember();
  ASSERT_NE(world_.ring().Holders(first.name.point), before);
  world_.RunFor(absl::Seconds(20));
  const PutReply again = PutAt(user, first, /*pass_on=*/true);
  EXPECT_EQ(again.receipts.size(), 3u);
  for (const Receipt& receipt : again.receipts) {
    EXPECT_TRUE(ContainsProcess(world_.ring().Holders(first.name.point), receipt.node_key));
  }
}

TEST_F(ReplicatorTest, ForgedAndExpiredRecordsAreRefusedEverywhere) {
  StartRing(4);
  Record forged = Blob("a");
  forged.body[0] ^= 1;
  Record late = MakeBlob(base::AsBytes("b"), world_.now());
  for (const Record& record : {forged, late}) {
    EXPECT_EQ(PutAt(Holder(record.name.point, 0), record).result, PutResult::kRefused);
    const auto reply = RequestAt(Holder(record.name.point, 0), CallerOf(Holder(record.name.point, 1)), ReplicateRequest{record});
    EXPECT_EQ(AnswerAs<ReplicateReply>(reply)->result, PutResult::kRefused);
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
       std::vector<DhtRequest>{PutRequest{{record}}, GetRequest{record.name}, ReplicateRequest{record},
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
    return AnswerAs<ReplicateReply>(RequestAt(to, CallerOf(caller), ReplicateRequest{record}))->result;
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
