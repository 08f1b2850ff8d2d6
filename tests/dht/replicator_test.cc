// SPDX-License-Identifier: Apache-2.0
// One replicator at a time, seen from its neighbours: quorums, refusals, who may read and push what.
#include "dht/replicator.h"
#include "dht/place_syncs.h"
#include "dht/put_rounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

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
  const CopiesReply bad{
      {{.result = PutResult::kStored, .receipt = Receipt{.node_key = Holder(record.name.point, 1).peer.node_key}}}};
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

// While calls are under way, further records wait for their end and then go together; a silent holder holds nobody up.
TEST_F(ReplicatorTest, PutsGoTogether) {
  StartRing(3);
  StoreWorld::Node& user = world_.AddMember(overlay::Role::kRelay);
  world_.RunFor(absl::Seconds(5));
  const auto stored_of = [&](StoreWorld::Node& at, int first, size_t receipts) {
    auto stored = std::make_shared<int>(0);
    for (int i = first; i < first + 200; ++i) {
      world_.Put(at, Blob(std::to_string(i)), /*pass_on=*/true, [=](const absl::StatusOr<DhtReply>& reply) {
        const auto* put = AnswerAs<PutReply>(reply);
        *stored += put != nullptr && put->result == PutResult::kStored && put->receipts.size() == receipts ? 1 : 0;
      });
    }
    world_.RunFor(kRoundGrace + absl::Milliseconds(500));
    return *stored;
  };
  // 600 copies: those whose holders are found first go alone, most in calls of up to 64.
  EXPECT_EQ(stored_of(user, 0, 3), 200);
  EXPECT_LE(world_.calls_of<PutRequest>(), 40u);
  EXPECT_GE(world_.calls_of<PutRequest>(), 12u);
  // 400 copies by one of the holders.
  EXPECT_EQ(stored_of(*world_.nodes()[0], 200, 3), 200);
  EXPECT_LE(world_.calls_of<ReplicateRequest>(), 20u);
  EXPECT_GE(world_.calls_of<ReplicateRequest>(), 8u);
  Silence(*world_.nodes()[1]);
  EXPECT_EQ(stored_of(user, 400, 2), 200);
}

// What waited behind a slow call is not left to repair, which comes after 8 s and more.
TEST_F(ReplicatorTest, ASlowHolderGetsItsCopiesAfterTheAnswer) {
  StartRing(3);
  StoreWorld::Node& user = world_.AddMember(overlay::Role::kRelay);
  world_.RunFor(absl::Seconds(15));
  PutAt(user, Blob("learns the holders"), /*pass_on=*/true);
  StoreWorld::Node& slow = *world_.nodes()[1];
  slow.lag = absl::Seconds(1);
  const size_t before = world_.calls_of<PutRequest>();
  world_.Put(user, Blob("first"), /*pass_on=*/true, [](const auto&) {});
  const Record second = Blob("second");
  EXPECT_EQ(PutAt(user, second, /*pass_on=*/true).receipts.size(), 2u);
  EXPECT_LE(answered_after_, kRoundGrace + absl::Milliseconds(100));
  EXPECT_FALSE(slow.store->Holds(second.name, world_.now()));
  world_.RunFor(absl::Seconds(3));
  EXPECT_TRUE(slow.store->Holds(second.name, world_.now()));
  EXPECT_EQ(world_.calls_of<PutRequest>(), before + 6) << "not by repair";
}

// A put of a user elsewhere, with its core in hand: what it asks, and what it is told.
class PassedOnPut : public ReplicatorTest {
 protected:
  PassedOnPut() {
    StartRing(9);
    holders_ = world_.ring().Holders(record_.name.point, 4);
    user_ = &NodeOf(world_.ring().Holders(record_.name.point, 9)[7]);
  }
  Moment At(absl::Duration later) const { return {world_.now() + later, world_.now()}; }
  // Takes in what an event made the core want.
  void Take(const DhtActions& actions) {
    for (const DhtAction& action : actions) {
      if (const auto* call = std::get_if<Call>(&action)) calls_.push_back(*call);
      if (const auto* lookup = std::get_if<Lookup>(&action)) lookups_.push_back(*lookup);
      if (const auto* respond = std::get_if<Respond>(&action)) answers_.push_back(*AnswerAs<PutReply>(respond->reply));
    }
  }
  void Put(const Record& record, absl::Duration later = {}) { Take(user_->core->OnPut(1, record, /*pass_on=*/true, At(later))); }
  void FindOwners(const absl::StatusOr<std::vector<overlay::Peer>>& owners, absl::Duration later = {}) {
    Take(user_->core->OnOwners(lookups_.back().id, owners, At(later)));
  }
  void Answer(const Call& call, const absl::StatusOr<DhtReply>& reply) { Take(user_->core->OnReply(call.id, reply, At({}))); }
  CopyReply Stored(const overlay::Peer& holder) {
    return {PutResult::kStored, SignReceipt("local", NodeOf(holder).key, record_.name, record_.expiry)};
  }
  // One whose first holder that is.
  Record RecordOf(const overlay::Peer& owner) {
    for (int i = 0;; ++i) {
      const Record record = Blob("record " + std::to_string(i));
      if (world_.ring().Holders(record.name.point, 1)[0] == owner) return record;
    }
  }
  size_t PutsTo(const std::string& address) const {
    return static_cast<size_t>(std::count_if(calls_.begin(), calls_.end(), [&](const Call& call) {
      return std::holds_alternative<PutRequest>(call.request) && call.to.address == address;
    }));
  }
  std::set<keys::PublicKey> Asked() const {
    std::set<keys::PublicKey> asked;
    for (const Call& call : calls_) asked.insert(call.to.node_key);
    return asked;
  }
  // As remembered from an earlier put: the first three.
  void PutToRemembered() {
    Put(record_);
    FindOwners(std::vector(holders_.begin(), holders_.begin() + 3));
    for (const Call& call : std::exchange(calls_, {})) Answer(call, CopiesReply{{Stored(call.to)}});
    answers_.clear();
    lookups_.clear();
    Put(record_);
    ASSERT_EQ(calls_.size(), 3u);
    ASSERT_TRUE(lookups_.empty());
  }
  // Two of them store it, the third one is no holder any more.
  void OneIsStale() {
    PutToRemembered();
    for (const Call& call : std::exchange(calls_, {})) {
      const bool is_stale = call.to == holders_[2];
      Answer(call, CopiesReply{{is_stale ? CopyReply{.result = PutResult::kNotResponsible} : Stored(call.to)}});
    }
    ASSERT_TRUE(answers_.empty());
    ASSERT_EQ(lookups_.size(), 1u);
  }

  const Record record_ = Blob("a");
  std::vector<overlay::Peer> holders_;
  StoreWorld::Node* user_;
  std::vector<Call> calls_;
  std::vector<Lookup> lookups_;
  std::vector<PutReply> answers_;
};

// A put alone waits for nothing; one that comes during another waits for the end of its calls, or kGather.
TEST_F(PassedOnPut, WaitsBrieflyForOthersOrNotAtAll) {
  PutToRemembered();
  const std::vector<Call> first = std::exchange(calls_, {});
  const Record other = RecordOf(holders_[3]);
  Put(other);
  FindOwners(world_.ring().Holders(other.name.point));
  Take(user_->core->OnTick(At(kGather - absl::Microseconds(1))));
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 0u);
  EXPECT_LE(user_->core->NextTick(), At(kGather).now);
  Take(user_->core->OnTick(At(kGather)));
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 3u);
  for (const Call& call : std::exchange(calls_, {})) Answer(call, absl::UnavailableError(""));
  Put(other, kGather);
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 0u);
  for (const Call& call : first) Answer(call, CopiesReply{{Stored(call.to)}});
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 3u) << "the other put's calls are over";
}

TEST_F(PassedOnPut, ASecondTryAsksOnlyWhoGaveNoReceipt) {
  OneIsStale();
  FindOwners(std::vector{holders_[0], holders_[1], holders_[3]});
  ASSERT_EQ(Asked(), std::set{holders_[3].node_key});
  Answer(calls_.front(), CopiesReply{{Stored(holders_[3])}});
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].receipts.size(), 3u);
}

TEST_F(PassedOnPut, AFailedLookupTakesNothingBack) {
  OneIsStale();
  FindOwners(absl::UnavailableError("no way"));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].result, PutResult::kStored);
  EXPECT_EQ(answers_[0].receipts.size(), 2u);
}

TEST_F(PassedOnPut, NeverMoreReceiptsThanHolders) {
  OneIsStale();
  const std::vector<overlay::Peer> others = world_.ring().Holders(record_.name.point, 6);
  FindOwners(std::vector{others[3], others[4], others[5]});
  EXPECT_EQ(Asked().size(), 3u);
  for (const Call& call : std::exchange(calls_, {})) Answer(call, CopiesReply{{Stored(call.to)}});
  ASSERT_EQ(answers_.size(), 1u);
  ASSERT_EQ(answers_[0].receipts.size(), 3u);
  for (const Receipt& receipt : answers_[0].receipts) EXPECT_TRUE(ContainsProcess(answers_[0].responsible, receipt.node_key));
}

// Whatever a holder answers in the place of a copy, it counts for nothing, and the other two do.
TEST_F(PassedOnPut, HostileAnswersCountForNothing) {
  PutToRemembered();
  const Receipt of_another = *Stored(holders_[1]).receipt;
  const std::vector<absl::StatusOr<DhtReply>> hostile = {
      CopiesReply{},                                                      // fewer than asked
      CopiesReply{{Stored(holders_[0]), Stored(holders_[0])}},            // more
      CopiesReply{{{PutResult::kStored, std::nullopt}}},                  // a word without a receipt
      CopiesReply{{{PutResult::kStored, of_another}}},                    // of another node
      CopiesReply{{{PutResult::kFull, Stored(holders_[0]).receipt, 7}}},  // a receipt for what is not stored
      CopiesReply{{{PutResult::kUnknown, Stored(holders_[0]).receipt}}},  //
      DhtReply(FetchReply{{record_}}),                                    // another message
      absl::InvalidArgumentError(""),                                     // no message
  };
  for (const absl::StatusOr<DhtReply>& reply : hostile) {
    for (const Call& call : std::exchange(calls_, {})) {
      Answer(call, call.to == holders_[0] ? reply : CopiesReply{{Stored(call.to)}});
    }
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].result, PutResult::kStored);
    EXPECT_EQ(answers_[0].receipts.size(), 2u);
    answers_.clear();
    Put(record_);
    ASSERT_EQ(calls_.size(), 3u);
  }
}

// A lookup that names holders at wrong addresses misleads its own record only.
TEST_F(PassedOnPut, ALieAboutAnAddressHarmsNoOtherPut) {
  PutToRemembered();
  for (const Call& call : std::exchange(calls_, {})) Answer(call, CopiesReply{{Stored(call.to)}});
  const Record other = RecordOf(holders_[1]);  // two holders are the same
  std::vector<overlay::Peer> lie = world_.ring().Holders(other.name.point);
  for (overlay::Peer& peer : lie) peer.address = "127.0.0.1:9";
  Put(other);
  FindOwners(lie);
  EXPECT_EQ(PutsTo("127.0.0.1:9"), 3u);
  Put(record_);
  Take(user_->core->OnTick(At(kGather)));
  EXPECT_EQ(PutsTo("127.0.0.1:9"), 3u);
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 3u);
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
