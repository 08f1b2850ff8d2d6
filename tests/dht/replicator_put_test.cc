// SPDX-License-Identifier: Apache-2.0
// Puts through one replicator: quorums, grace, waves of copies, and puts of users elsewhere.
#include "dht/put_rounds.h"
#include "dht/replicator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "tests/dht/replicator_fixture.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

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

// A put alone waits for nothing; one that comes during another waits for the end of its calls, or kGather. Then nobody waits for
// those calls any more.
TEST_F(PassedOnPut, WaitsBrieflyForOthersOrNotAtAll) {
  PutToRemembered();
  calls_.clear();  // silent
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
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 3u) << "the first put's calls hold nobody up";
  const std::vector<Call> last = std::exchange(calls_, {});
  Put(other, kGather);
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 0u);
  for (const Call& call : last) Answer(call, CopiesReply{{Stored(call.to)}});
  EXPECT_EQ(PutsTo("127.0.0.1:10001"), 3u) << "the calls of the last wave are over";
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

}  // namespace
}  // namespace dht
