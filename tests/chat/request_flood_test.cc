// SPDX-License-Identifier: Apache-2.0
// Strangers' requests by the hundred: what they cost, what is kept of them, and that an honest one comes through.
#include <gtest/gtest.h>

#include "chat/contact_book.h"
#include "chat/contact_entries.h"
#include "chat/courier.h"
#include "tests/chat/book_world.h"

namespace chat {
namespace {

using support::LossyStore;
using support::Person;

class RequestFloodTest : public testing::Test {
 protected:
  RequestFloodTest() { EXPECT_OK(bob_.Run(now_)); }

  // What bob publishes.
  BundleContents Bundle() {
    const Door door = *DoorOf(bob_.address(), "local", DayOf(now_));
    const auto body = store_.Read(dht::Kind::kBundle, BundlePoint(door, 0), now_);
    EXPECT_OK(body);
    const auto contents = OpenBundle(bob_.address(), "local", *DecodeBundle(**body));
    EXPECT_OK(contents);
    return *contents;
  }
  // A request with work of that effort, out of bob's door.
  void Request(const keys::SigningKey& stranger, uint32_t effort, const BundleContents& bundle) {
    Conversation conversation({}, stranger, bob_.address(), Standing::kContact);
    ASSERT_OK(conversation.Send({'x'}, now_, rng_));
    ASSERT_OK(conversation.Initiate(bundle, now_, rng_));
    const auto envelope = DecodeEnvelope(conversation.Puts(now_, 1).at(0).record.body);
    const auto plain = OpenEnvelope(bob_.key, "local", envelope->door.blinded, envelope->sealed);
    const base::Bytes text = DecodeFragment(*plain)->text;
    bob_.book().OnHandshake({}, base::ByteWriter().Append(text).U32(effort).bytes(), now_);
  }
  // So many strangers' at once, and what bob does then.
  void Flood(int count, uint32_t effort) {
    const BundleContents bundle = Bundle();
    for (int i = 0; i < count; ++i) Request(keys::SigningKey::Generate(rng_), effort, bundle);
    ASSERT_OK(bob_.Run(now_));
  }
  size_t Waiting() { return bob_.book().contacts().size(); }
  bool HasRequestOf(const Person& person) { return bob_.book().contacts().contains(person.address()); }
  uint32_t EffortOfRequest(const Person& person) { return bob_.book().contacts().at(person.address()).effort; }

  support::SeededRng rng_{5};
  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  LossyStore store_{{}, 1};
  Person alice_{store_, 100}, bob_{store_, 200};
};

TEST_F(RequestFloodTest, WhoPaysWhatIsAskedIsHeardAboveAFlood) {
  EXPECT_EQ(Bundle().door_effort, 0u) << "nothing is asked while there is room";
  Flood(200, 0);
  EXPECT_EQ(Waiting(), kRequestsMax);
  const auto dropped = std::count_if(bob_.notices.begin(), bob_.notices.end(), [](const BookNotice& notice) {
    return notice.kind == BookNotice::Kind::kTooManyRequests && notice.count == 200 - kRequestsMax;
  });
  EXPECT_EQ(dropped, 1) << "told once";
  EXPECT_EQ(Bundle().door_effort, kFirstEffort);
  ASSERT_OK(alice_.book().Add("bob", bob_.address()));
  ASSERT_OK(alice_.Send(bob_.address(), "It is me.", now_));
  ASSERT_OK(alice_.Run(now_));  // with true stamps: the store looks
  ASSERT_OK(bob_.Run(now_));
  ASSERT_TRUE(HasRequestOf(alice_));
  EXPECT_EQ(Waiting(), kRequestsMax);
  bob_.Restart(now_);  // the effort is on disk
  EXPECT_EQ(EffortOfRequest(alice_), kFirstEffort);
  Flood(300, kFirstEffort);
  EXPECT_TRUE(HasRequestOf(alice_)) << "the same effort takes nobody's place";
  EXPECT_EQ(Waiting(), kRequestsMax);
  EXPECT_EQ(Bundle().door_effort, 2 * kFirstEffort);
  ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  ASSERT_OK(bob_.Run(now_));
  ASSERT_EQ(bob_.shown.size(), 1u);
  EXPECT_EQ(bob_.shown[0].text, "It is me.");
  EXPECT_EQ(Bundle().door_effort, 0u) << "a place is free";
}

TEST_F(RequestFloodTest, WhatIsDroppedUsesNoPrekeysUp) {
  Flood(200, 0);
  const BundleContents before = Bundle();
  EXPECT_EQ(before.one_time.size(), kOneTimePrekeysMax);
  Flood(200, 0);
  EXPECT_EQ(Bundle(), before);
  Flood(1, 1);
  EXPECT_NE(Bundle().one_time, before.one_time);
}

TEST_F(RequestFloodTest, ContactsNeedNoEffort) {
  ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  Flood(200, 9);
  Request(alice_.key, 0, Bundle());
  EXPECT_TRUE(bob_.book().FindConversation(alice_.address())->has_session());
  EXPECT_EQ(Waiting(), kRequestsMax + 1);
}

TEST_F(RequestFloodTest, BlockedStrangersTakeNoPlace) {
  Flood(static_cast<int>(kRequestsMax), 0);
  const auto requests = bob_.book().contacts();
  for (const auto& [key, contact] : requests) ASSERT_OK(bob_.book().Block(key));
  Flood(1, 0);
  EXPECT_EQ(Waiting(), kRequestsMax + 1);
}

class CourierStampTest : public testing::Test {
 protected:
  CourierStampTest() {
    const keys::SigningKey owner = keys::SigningKey::Generate(rng_);
    envelope_.door = *DoorOf(owner.public_key(), "local", 20780);
    envelope_.sealed = base::Bytes(kSealedSize, 7);
    for (int i = 0; i < 3; ++i) {
      nodes_.push_back(keys::SigningKey::Generate(rng_));
      opened_.responsible.push_back(nodes_.back().public_key());
    }
  }
  OperationActions Carry() {
    const dht::Record record = MakeEnvelopeRecord(envelope_);
    return courier_->Carry({{1, record.name.point, PutRequest{envelope_}, record.name, record.expiry}}, now_);
  }
  // Does the work that is asked for: its effort, and what is to be done then.
  OperationActions DoWork(uint32_t effort) {
    const std::vector<WorkOp> work = courier_->TakeWork();
    EXPECT_EQ(work.size(), 1u);
    EXPECT_EQ(work.at(0).effort, effort);
    keys::WorkSearch search(work[0].challenge, effort, rng_);
    std::optional<keys::WorkProof> proof;
    while (!proof) proof = search.Advance();
    return courier_->OnWorked(work[0].ticket, *proof, now_);
  }
  // Opens what is to be opened at one node; the request that it gets.
  Envelope Deliver(const OperationActions& actions, size_t node) {
    ticket_ = std::get<OpenOp>(actions.at(0)).ticket;
    opened_.storage_node = nodes_[node].public_key();
    const OperationActions run = courier_->OnOpened(ticket_, opened_, now_);
    const auto request = DecodeMailboxRequest(std::get<RunOp>(run.at(0)).request);
    EXPECT_OK(request);
    return std::get<PutRequest>(*request).envelope;
  }
  OperationActions Answer(const MailboxAnswer& answer) {
    OperationActions actions = courier_->OnAnswer(ticket_, EncodeMailboxAnswer(answer), now_);
    now_ += absl::Seconds(1);  // the pause before another try
    for (OperationAction& one : courier_->OnTick(now_)) actions.push_back(std::move(one));
    return actions;
  }
  MailboxAnswer Full(uint32_t needed) {
    MailboxAnswer answer{MailboxStatus::kFull};
    answer.detail = needed;
    return answer;
  }

  support::SeededRng rng_{6};
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  Envelope envelope_;
  std::vector<keys::SigningKey> nodes_;
  circuits::OpenedOperation opened_;
  uint64_t ticket_ = 0;
  std::optional<Courier> courier_{std::in_place, Courier::Options{.network = "local"}, rng_};
};

TEST_F(CourierStampTest, ARequestIsWorkedForBeforeItIsPutAndAgainWhereThePlaceIsFull) {
  envelope_.effort = 3;
  EXPECT_TRUE(Carry().empty()) << "nothing leaves without its stamp";
  Envelope put = Deliver(DoWork(3), 0);
  EXPECT_TRUE(HasTrueStamp("local", put));
  EXPECT_EQ(put.effort, 3u);
  put = Deliver(Answer(Full(9)), 1);
  EXPECT_EQ(put.effort, 3u) << "one replica alone may lie";
  EXPECT_TRUE(Answer(Full(5)).empty());
  put = Deliver(DoWork(10), 0);
  EXPECT_EQ(put.effort, 10u);
  EXPECT_TRUE(HasTrueStamp("local", put));
  const dht::Record record = MakeEnvelopeRecord(put);
  MailboxAnswer stored{MailboxStatus::kStored};
  for (const keys::SigningKey& node : nodes_)
    stored.receipts.push_back(dht::SignReceipt("local", node, record.name, record.expiry));
  Answer(stored);
  const auto results = courier_->TakeResults();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].copies, 3);
}

TEST_F(CourierStampTest, NobodyWorksForTooMuchOrForALie) {
  for (const uint32_t needed : {kSendEffortMax, uint32_t{2}}) {
    courier_.emplace(Courier::Options{.network = "local"}, rng_);
    envelope_.effort = 2;
    Carry();
    OperationActions actions = DoWork(2);
    for (size_t node = 0; !actions.empty(); ++node) {
      Deliver(actions, node % 3);
      actions = Answer(Full(needed));
    }
    EXPECT_TRUE(courier_->TakeWork().empty());
    const auto results = courier_->TakeResults();
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].copies, 0);
  }
}

TEST_F(CourierStampTest, WhatTheNetworkAsksForIsTheLeastAndWhatIsGivenUpIsWorkedForInVain) {
  courier_.emplace(Courier::Options{.network = "local", .door_effort = 2}, rng_);
  EXPECT_TRUE(Carry().empty());
  const std::vector<WorkOp> work = courier_->TakeWork();
  ASSERT_EQ(work.size(), 1u);
  EXPECT_EQ(work[0].effort, 2u);
  courier_->Abort(absl::DeadlineExceededError("time ran out"));
  EXPECT_EQ(courier_->under_way(), 0u);
  ASSERT_EQ(courier_->TakeResults().size(), 1u);
  EXPECT_TRUE(courier_->OnWorked(work[0].ticket, {}, now_).empty());
}

}  // namespace
}  // namespace chat
