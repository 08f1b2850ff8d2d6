// SPDX-License-Identifier: Apache-2.0
// A whole send and poll: real sender, poller, mailboxes and inbox over fake circuits and stores.
#include "chat/chat_client.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "chat/memory_inbox_store.h"
#include "tests/chat/fake_operations.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

// An inbox whose owner can crash: from then on nothing is written any more.
class CrashingStore : public MemoryInboxStore {
 public:
  absl::Status Apply(const std::vector<InboxWrite>& writes) override {
    if (writes_left == 0) return absl::UnavailableError("crashed");
    --writes_left;
    return MemoryInboxStore::Apply(writes);
  }
  int writes_left = -1;
};

struct Person {
  explicit Person(base::Rng& rng) : key(keys::SigningKey::Generate(rng)), inbox(store, key, rng) {}

  keys::SigningKey key;
  CrashingStore store;
  Inbox inbox;
};

struct Polled {
  absl::StatusOr<PollResult> result = absl::UnknownError("never done");
  std::vector<std::string> texts;
  std::vector<Message> messages;
};

class ChatClientTest : public testing::Test {
 protected:
  ChatClientTest() { Restart(); }

  // A new process of the same client: whatever was under way is gone.
  void Restart() { client_ = std::make_unique<ChatClient>(options_, operations_, loop_, rng_); }

  absl::StatusOr<SendResult> Send(const Person& to, std::string_view text, const Person* signer = nullptr) {
    absl::StatusOr<SendResult> result = absl::UnknownError("never done");
    client_->Send({to.key.public_key(), base::ToBytes(base::AsBytes(text)), signer ? &signer->key : nullptr},
                  [&](absl::StatusOr<SendResult> sent) { result = std::move(sent); });
    loop_.RunFor(absl::Minutes(3));
    return result;
  }
  Polled Poll(Person& who) {
    Polled polled;
    StartPoll(who, polled);
    loop_.RunFor(absl::Minutes(6));
    return polled;
  }
  // Polls until nothing moves any more, then dies. What it had shown.
  std::vector<std::string> CrashInPoll(Person& who) {
    Polled polled;
    StartPoll(who, polled);
    loop_.RunFor(absl::Seconds(5));
    Restart();
    operations_.open_now = 0;
    return polled.texts;
  }
  void StartPoll(Person& who, Polled& polled, bool today_only = false, bool waits = false) {
    client_->Poll(
        {&who.key, &who.inbox, loop_.WallNow(), imported_, today_only, waits},
        [&](const Message& message) {
          if (polled.texts.size() == shown_max_) return absl::UnavailableError("the output is closed");
          polled.texts.push_back(base::ToString(message.text));
          polled.messages.push_back(message);
          return absl::OkStatus();
        },
        [&](absl::StatusOr<PollResult> result) { polled.result = std::move(result); });
  }

  support::SeededRng rng_{7};
  support::ManualLoop loop_;
  support::FakePlaces places_{loop_, "local", 9, rng_};
  support::FakeOperations operations_{places_, rng_};
  ChatClient::Options options_;
  bool imported_ = false;
  size_t shown_max_ = SIZE_MAX;  // what the output takes
  std::unique_ptr<ChatClient> client_;
  Person alice_{rng_}, bob_{rng_};
};

TEST_F(ChatClientTest, APollThatIsDroppedSaysNothingAndTheNextOneReadsAll) {
  ASSERT_OK(Send(alice_, "still there"));
  operations_.frozen_after = operations_.runs;  // nothing is answered
  Polled dropped;
  StartPoll(alice_, dropped);
  EXPECT_FALSE(client_->DropPolls()) << "its inbox is being read just now";
  loop_.RunFor(absl::Seconds(5));
  EXPECT_TRUE(client_->DropPolls());
  loop_.RunFor(absl::Minutes(6));
  EXPECT_STATUS(dropped.result, kUnknown);
  operations_.frozen_after = INT_MAX;
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"still there"});
}

TEST_F(ChatClientTest, AnAnswerThatIsToBeHeldLeavesAtOneTimeWhateverWasAsked) {
  const auto point = overlay::NodeId::Random(rng_);
  for (const bool holds : {false, true}) {
    for (const bool malformed : {false, true}) {
      base::Bytes request = EncodeMailboxRequest(ReadRequest{dht::Kind::kBox, point});
      if (malformed) request[0] = 0x7f;  // no request at all: refused
      if (holds) request[0] |= kHoldAnswer;
      const absl::Time start = loop_.Now();
      std::optional<absl::Time> answered;
      circuits::OpenedOperation opened;
      opened.storage_node = places_.nodes[0]->key.public_key();
      operations_.Deliver(opened, request, [&](absl::StatusOr<base::Bytes> bytes) {
        answered = loop_.Now();
        const auto answer = DecodeMailboxAnswer(*bytes);
        ASSERT_OK(answer);
        EXPECT_EQ(answer->status, malformed ? MailboxStatus::kRefused : MailboxStatus::kRecord);
      });
      loop_.RunFor(absl::Seconds(2));
      ASSERT_TRUE(answered.has_value());
      EXPECT_EQ(*answered - start, holds ? kAnswerHold : absl::ZeroDuration());
    }
  }
}

TEST_F(ChatClientTest, EveryKindOfTextArrivesExactlyOnceByteForByte) {
  const std::vector<std::string> texts = {"x",
                                          "",
                                          "gr\xc3\xbc\xc3\x9f"
                                          "e \xf0\x9f\xa7\x85",
                                          std::string(16384, 'k'),
                                          "\x1b[2J\x1b]0;owned\x07",
                                          std::string("nul\0byte\xff", 9),
                                          std::string(1782, 'a'),
                                          std::string(1783, 'b')};
  for (const std::string& text : texts) ASSERT_OK(Send(alice_, text));
  Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(std::multiset<std::string>(polled.texts.begin(), polled.texts.end()),
            std::multiset<std::string>(texts.begin(), texts.end()));
  EXPECT_EQ(polled.result->parts_asked, 9);
  EXPECT_EQ(polled.result->parts_answered, 9);
  EXPECT_EQ(polled.result->new_messages, 8);
  polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_TRUE(polled.texts.empty());
}

// Between whole polls, one that waits asks for today alone: three places, the same circuits, nothing marked as complete.
TEST_F(ChatClientTest, APollOfTodayReadsWhatWasSentNowAndCountsForNothingElse) {
  ASSERT_OK(Send(alice_, "now"));
  Polled polled;
  StartPoll(alice_, polled, /*today_only=*/true);
  loop_.RunFor(absl::Minutes(6));
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"now"});
  EXPECT_EQ(polled.result->parts_asked, 3);
  EXPECT_EQ(polled.result->parts_answered, 3);
  ASSERT_OK_AND_ASSIGN(const InboxState state, alice_.inbox.Load(loop_.WallNow()));
  EXPECT_FALSE(state.last_complete_poll.has_value());
  polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_TRUE(polled.texts.empty()) << "shown once";
  EXPECT_EQ(polled.result->parts_asked, 9);
}

// The note lies at two of the three places: the first that has it ends the poll, which empties all of them.
TEST_F(ChatClientTest, APollThatWaitsReadsWhatComesAsItComes) {
  for (int i = 0; i < 8; ++i) {
    Polled polled;
    StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
    loop_.RunFor(absl::Seconds(1));
    EXPECT_STATUS(polled.result, kUnknown) << "waits";
    client_->Send({alice_.key.public_key(), {'n', 'o', 'w'}, nullptr}, [](const auto&) {});
    loop_.RunFor(kListWait / 2);
    ASSERT_OK(polled.result);
    EXPECT_EQ(polled.texts, std::vector<std::string>{"now"});
    EXPECT_EQ(polled.result->parts_answered, 3);
    EXPECT_EQ(polled.result->deletions_failed, 0);
    EXPECT_EQ(places_.EnvelopeCount(), 0u);
  }
  EXPECT_TRUE(Poll(alice_).texts.empty()) << "shown once";
}

TEST_F(ChatClientTest, APollThatWaitsInVainEndsAndOneThatNeedNotWaitReadsAll) {
  Polled polled;
  StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
  loop_.RunFor(kListWait + absl::Seconds(1));
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.result->new_messages, 0);
  EXPECT_EQ(polled.result->parts_answered, 3);
  std::multiset<std::string> read;
  ASSERT_OK(Send(alice_, "one"));
  ASSERT_OK(Send(alice_, std::string(5000, 'z')));  // four envelopes, some beside the first place that answers
  for (int i = 0; i < 4 && read.size() < 2; ++i) {
    polled = {};
    StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
    loop_.RunFor(kListWait / 2);
    ASSERT_OK(polled.result);
    read.insert(polled.texts.begin(), polled.texts.end());
  }
  EXPECT_EQ(read, (std::multiset<std::string>{"one", std::string(5000, 'z')}));
}

// A crash after the first place has answered loses nothing: what was not deleted is known as read.
TEST_F(ChatClientTest, APollThatWaitsLosesNothingByACrash) {
  for (int writes = 0; writes < 3; ++writes) {
    for (int runs = 3; runs < 9; ++runs) {
      Person carol(rng_);
      carol.store.writes_left = writes;
      operations_.frozen_after = operations_.runs + runs + 2;  // the sender needs two of them
      Polled first;
      StartPoll(carol, first, /*today_only=*/true, /*waits=*/true);
      loop_.RunFor(absl::Seconds(1));
      client_->Send({carol.key.public_key(), {'x'}, nullptr}, [](const auto&) {});
      loop_.RunFor(absl::Seconds(1));
      Restart();
      operations_.open_now = 0;
      operations_.frozen_after = INT_MAX;
      carol.store.writes_left = -1;
      std::set<std::string> shown(first.texts.begin(), first.texts.end());
      const Polled second = Poll(carol);
      shown.insert(second.texts.begin(), second.texts.end());
      EXPECT_EQ(shown, std::set<std::string>{"x"}) << writes << " " << runs;
      EXPECT_TRUE(Poll(carol).texts.empty());
      ASSERT_OK_AND_ASSIGN(const std::vector<Message> kept, carol.inbox.Messages());
      EXPECT_EQ(kept.size(), 1u);
    }
  }
}

TEST_F(ChatClientTest, PollsOfOneIdentityShareCircuitsPlaceByPlaceAndOfTwoNever) {
  const auto isolations = [&](Person& who) {
    operations_.points_of_isolation.clear();
    EXPECT_OK(Poll(who).result);
    std::set<base::Bytes> seen;
    for (const auto& [isolation, points] : operations_.points_of_isolation) seen.insert(isolation);
    return seen;
  };
  const std::set<base::Bytes> first = isolations(alice_), second = isolations(alice_), other = isolations(bob_);
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.size(), 9u);
  for (const base::Bytes& isolation : other) EXPECT_FALSE(first.contains(isolation));
}

TEST_F(ChatClientTest, SendTellsWhereEachEnvelopeLies) {
  ASSERT_OK_AND_ASSIGN(const SendResult result, Send(alice_, std::string(16384, 'k')));
  EXPECT_EQ(result.envelopes.size(), 10u);
  for (const EnvelopeOutcome& envelope : result.envelopes) {
    ASSERT_EQ(envelope.places.size(), 2u);
    EXPECT_EQ(envelope.places[1].place, NextPlace(envelope.places[0].place));
    EXPECT_EQ(envelope.places[0].holders.size(), 3u);
    EXPECT_EQ(envelope.places[1].holders.size(), 3u);
  }
  EXPECT_EQ(places_.EnvelopeCount(), 60u);
}

TEST_F(ChatClientTest, PollEmptiesTheRing) {
  for (int i = 0; i < 60; ++i) ASSERT_OK(Send(alice_, absl::StrCat("note ", i)));
  EXPECT_EQ(places_.EnvelopeCount(), 360u);
  EXPECT_EQ(Poll(alice_).texts.size(), 60u);
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
}

TEST_F(ChatClientTest, WhatCouldNotBeShownIsShownByTheNextPoll) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(Send(alice_, absl::StrCat("note ", i)));
  shown_max_ = 2;
  Polled polled = Poll(alice_);
  EXPECT_STATUS(polled.result, kUnavailable);
  std::set<std::string> texts(polled.texts.begin(), polled.texts.end());
  EXPECT_EQ(texts.size(), 2u);
  shown_max_ = SIZE_MAX;
  polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts.size(), 3u);
  texts.insert(polled.texts.begin(), polled.texts.end());
  EXPECT_EQ(texts.size(), 5u);
  EXPECT_TRUE(Poll(alice_).texts.empty());
}

TEST_F(ChatClientTest, SignedNotesNameTheirSenderAndAnonymousOnesNobody) {
  ASSERT_OK(Send(alice_, "anonymous"));
  ASSERT_OK(Send(alice_, "signed", &bob_));
  const Polled polled = Poll(alice_);
  ASSERT_EQ(polled.messages.size(), 2u);
  for (const Message& message : polled.messages) {
    EXPECT_EQ(message.from.has_value(), base::ToString(message.text) == "signed");
    if (message.from) {
      EXPECT_EQ(*message.from, bob_.key.public_key());
    }
  }
}

TEST_F(ChatClientTest, AnotherIdentityFindsNothingAndDisturbsNothing) {
  ASSERT_OK(Send(alice_, "for alice"));
  EXPECT_TRUE(Poll(bob_).texts.empty());
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"for alice"});
}

TEST_F(ChatClientTest, IsolationValuesBelongToOnePlaceAndFourOperationsRunAtMost) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(Send(alice_, std::string(9000, 'k')));
  EXPECT_EQ(Poll(alice_).texts.size(), 5u);
  for (const auto& [isolation, points] : operations_.points_of_isolation) EXPECT_EQ(points.size(), 1u);
  EXPECT_GE(operations_.points_of_isolation.size(), 5u * 3 + 9);
  EXPECT_LE(operations_.most_at_once, 4);
  EXPECT_GT(operations_.most_at_once, 1);
}

TEST_F(ChatClientTest, RequestsOfAllKindsLookAlikeInSize) {
  ASSERT_OK(Send(alice_, "x"));
  EXPECT_EQ(Poll(alice_).texts.size(), 1u);
  for (const base::Bytes& request : operations_.requests) EXPECT_EQ(request.size(), kMailboxMessageSize);
}

TEST_F(ChatClientTest, LostRequestsAndAnswersAreRepairedByAskingAgain) {
  operations_.lose_requests = 2;
  operations_.lose_answers = 3;
  ASSERT_OK(Send(alice_, std::string(5000, 'z')));
  operations_.lose_requests = 3;
  operations_.lose_answers = 4;
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{std::string(5000, 'z')});
  EXPECT_EQ(polled.result->parts_answered, 9);
}

TEST_F(ChatClientTest, UnreadMailSurvivesTheLossOfOneReplicaOfEveryPlace) {
  for (int i = 0; i < 8; ++i) ASSERT_OK(Send(alice_, absl::StrCat("note ", i)));
  for (const int dead : {2, 5, 8}) places_.nodes[dead]->alive = false;  // one of each place's three
  for (int i = 8; i < 12; ++i) ASSERT_OK(Send(alice_, absl::StrCat("note ", i)));
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts.size(), 12u);
  EXPECT_EQ(polled.result->parts_answered, 9);
}

TEST_F(ChatClientTest, WithOneReplicaLeftAPartIsIncompleteAndIsAskedAgainNextTime) {
  ASSERT_OK_AND_ASSIGN(const SendResult sent, Send(alice_, "hello"));
  const auto holders = places_.Responsible(sent.envelopes[0].places[0].point);
  holders[0]->alive = holders[1]->alive = false;
  Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"hello"});
  EXPECT_LT(polled.result->parts_answered, polled.result->parts_asked);
  ASSERT_OK_AND_ASSIGN(const InboxState state, alice_.inbox.Load(loop_.WallNow()));
  EXPECT_FALSE(state.last_complete_poll.has_value());
  holders[0]->alive = holders[1]->alive = true;
  polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_TRUE(polled.texts.empty());
  EXPECT_EQ(polled.result->parts_answered, polled.result->parts_asked);
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
}

TEST_F(ChatClientTest, ADeletedEnvelopeDoesNotComeBackFromAReplicaThatWasAway) {
  ASSERT_OK_AND_ASSIGN(const SendResult sent, Send(alice_, "hello"));
  support::StoringNode* away = places_.Responsible(sent.envelopes[0].places[0].point)[1];
  away->alive = false;
  EXPECT_EQ(Poll(alice_).texts.size(), 1u);
  away->alive = true;
  EXPECT_GT(places_.EnvelopeCount(), 0u);
  places_.Repair();
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
  EXPECT_TRUE(Poll(alice_).texts.empty());
}

// The process dies after so many operations and so many writes; afterwards everything has been kept and shown.
TEST_F(ChatClientTest, ACrashAtAnyMomentLosesNothing) {
  for (int writes = 0; writes < 5; ++writes) {
    for (int operations = 0; operations < 24; operations += 3) {
      Person carol(rng_);
      ASSERT_OK(Send(carol, std::string(4000, 'c')));
      ASSERT_OK(Send(carol, "short"));
      carol.store.writes_left = writes;
      operations_.frozen_after = operations_.runs + operations;
      const std::vector<std::string> first = CrashInPoll(carol);
      operations_.frozen_after = INT_MAX;
      carol.store.writes_left = -1;
      const Polled second = Poll(carol);
      ASSERT_OK(second.result);
      // Shown twice is only what was on screen when the mark "shown" could no longer be written.
      std::set<std::string> shown(second.texts.begin(), second.texts.end());
      shown.insert(first.begin(), first.end());
      EXPECT_EQ(shown, (std::set<std::string>{"short", std::string(4000, 'c')})) << writes << " " << operations;
      EXPECT_TRUE(Poll(carol).texts.empty());
      ASSERT_OK_AND_ASSIGN(const std::vector<Message> kept, carol.inbox.Messages());
      EXPECT_EQ(kept.size(), 2u);
    }
  }
}

TEST_F(ChatClientTest, ACrashBetweenKeepingAndDeletingShowsNothingTwice) {
  ASSERT_OK(Send(alice_, "once"));
  operations_.freeze_deletions = true;
  EXPECT_EQ(CrashInPoll(alice_), std::vector<std::string>{"once"});
  EXPECT_EQ(places_.EnvelopeCount(), 6u);
  operations_.freeze_deletions = false;
  EXPECT_TRUE(Poll(alice_).texts.empty());
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
}

TEST_F(ChatClientTest, NothingIsShownOrDeletedThatTheInboxCouldNotKeep) {
  ASSERT_OK(Send(alice_, "precious"));
  alice_.store.writes_left = 0;
  const Polled polled = Poll(alice_);
  EXPECT_STATUS(polled.result, kUnavailable);
  EXPECT_TRUE(polled.texts.empty());
  EXPECT_EQ(places_.EnvelopeCount(), 6u);
}

TEST_F(ChatClientTest, JunkIsSkippedAndDeletedAndMailBesideItArrives) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  for (int i = 0; i < 120; ++i) {
    base::Bytes sealed(kSealedSize);
    rng_.Fill(sealed);
    bool stored = false;
    const dht::Record record = MakeEnvelopeRecord({door, static_cast<uint8_t>(i % 3), 0, {}, sealed});
    places_.Responsible(record.name.point)[0]->Put(
        record, [&](absl::StatusOr<dht::PutReply> reply) { stored = reply->result == dht::PutResult::kStored; });
    loop_.RunReady();
    ASSERT_TRUE(stored);
  }
  ASSERT_OK(Send(alice_, "found"));
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"found"});
  EXPECT_EQ(polled.result->junk, 120);
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
}

TEST_F(ChatClientTest, MailOfOlderDaysIsFoundByAnImportedIdentityUntilItExpires) {
  ASSERT_OK(Send(alice_, "old"));
  loop_.RunFor(absl::Hours(24 * 13));
  imported_ = true;
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"old"});
  EXPECT_EQ(polled.result->parts_asked, 17 * 3);
}

TEST_F(ChatClientTest, TooFewNodesIsSaidAtOnce) {
  operations_.refuse_to_open = absl::FailedPreconditionError("a message needs 4 other nodes, only 2 are known");
  EXPECT_STATUS(Send(alice_, "x"), kFailedPrecondition);
  EXPECT_STATUS(Poll(alice_).result, kFailedPrecondition);
  EXPECT_LE(operations_.opens, 8);
}

TEST_F(ChatClientTest, AnUnreachableNetworkIsUnavailableAfterBoundedAttempts) {
  operations_.refuse_to_open = absl::UnavailableError("no circuit");
  EXPECT_STATUS(Send(alice_, "x"), kUnavailable);
  EXPECT_STATUS(Poll(alice_).result, kUnavailable);
  EXPECT_LE(operations_.opens, 4 * (2 + 9));
}

TEST_F(ChatClientTest, FewerCopiesThanRequiredIsNoSuccess) {
  for (const auto& node : places_.nodes) node->disk_full = true;
  places_.nodes[0]->disk_full = places_.nodes[3]->disk_full = places_.nodes[6]->disk_full = false;
  const auto sent = Send(alice_, "x");
  EXPECT_STATUS(sent, kDeadlineExceeded);
  EXPECT_EQ(sent.status().message(), "stored on 1 of 3 replicas, needed 2");
}

TEST_F(ChatClientTest, ForgedAndRepeatedReceiptsDoNotCount) {
  const keys::SigningKey stranger = keys::SigningKey::Generate(rng_);
  operations_.tamper = [&](base::Bytes& bytes) {
    auto answer = DecodeMailboxAnswer(bytes);
    if (!answer.ok() || answer->status != MailboxStatus::kStored) return;
    dht::Receipt forged = answer->receipts[0];
    forged.node_key = stranger.public_key();
    dht::Receipt wrong = answer->receipts[1];
    wrong.signature[5] ^= 1;
    answer->receipts = {answer->receipts[0], forged, wrong};
    bytes = EncodeMailboxAnswer(*answer);
  };
  EXPECT_STATUS(Send(alice_, "x"), kDeadlineExceeded);
}

TEST_F(ChatClientTest, AnswersOfGarbageHarmNobody) {
  operations_.tamper = [&](base::Bytes& bytes) { rng_.Fill(bytes); };
  EXPECT_STATUS(Send(alice_, "x"), kUnavailable);
  EXPECT_STATUS(Poll(alice_).result, kUnavailable);
}

// A storing node that gives the same page for ever.
TEST_F(ChatClientTest, AListingThatLeadsNowhereEnds) {
  ASSERT_OK(Send(alice_, "one"));
  operations_.tamper = [](base::Bytes& bytes) {
    auto answer = DecodeMailboxAnswer(bytes);
    if (!answer.ok() || !answer->item) return;
    answer->more = true;
    bytes = EncodeMailboxAnswer(*answer);
  };
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"one"});
  EXPECT_LT(operations_.runs, 100);
}

TEST_F(ChatClientTest, AFullDoorIsToldWithTheEffortItNeeds) {
  operations_.tamper = [](base::Bytes& bytes) {
    MailboxAnswer full{MailboxStatus::kFull};
    full.detail = 5;
    bytes = EncodeMailboxAnswer(full);
  };
  const auto sent = Send(alice_, "x");
  EXPECT_STATUS(sent, kResourceExhausted);
  EXPECT_EQ(sent.status().message(), "the door is full; effort needed: 5");
}

// All three places full of somebody's envelopes of effort 5: a note works for 12 and is stored; it is the first that is listed.
TEST_F(ChatClientTest, ANoteBuysItselfIntoAFullDoor) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  const EnvelopeKind any([](const Envelope&) { return true; });
  for (uint8_t place = 0; place < kPlaceCount; ++place) {
    for (size_t i = 0; i < kDoorEnvelopesMax; ++i) {
      Envelope junk{door, place, 5, {}, base::Bytes(kSealedSize)};
      rng_.Fill(std::span(junk.sealed).first(16));
      const dht::Record record = MakeEnvelopeRecord(junk);
      for (support::StoringNode* node : places_.Responsible(record.name.point)) {
        node->places[record.name.point].Merge(any, record, dht::Source::kReplica);
      }
    }
  }
  std::vector<uint32_t> efforts;
  absl::StatusOr<SendResult> result = absl::UnknownError("never done");
  client_->Send(
      {alice_.key.public_key(), base::ToBytes(base::AsBytes("in")), nullptr},
      [&](absl::StatusOr<SendResult> sent) { result = std::move(sent); }, [&](uint32_t effort) { efforts.push_back(effort); });
  loop_.RunFor(absl::Minutes(3));
  ASSERT_OK(result);
  EXPECT_EQ(efforts, std::vector<uint32_t>{12});
  EXPECT_EQ(result->envelopes[0].places[0].holders.size(), 3u);
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"in"});
}

// More than a send may cost is never worked for; less than what was refused is a lie.
TEST_F(ChatClientTest, NobodyWorksForTooMuchOrForALie) {
  for (const uint32_t needed : {kSendEffortMax, uint32_t{0}}) {
    operations_.tamper = [needed](base::Bytes& bytes) {
      MailboxAnswer full{MailboxStatus::kFull};
      full.detail = needed;
      bytes = EncodeMailboxAnswer(full);
    };
    absl::StatusOr<SendResult> result = absl::UnknownError("never done");
    client_->Send(
        {alice_.key.public_key(), base::ToBytes(base::AsBytes("x")), nullptr},
        [&](absl::StatusOr<SendResult> sent) { result = std::move(sent); }, [&](uint32_t) { ADD_FAILURE() << "works"; });
    loop_.RunFor(absl::Minutes(3));
    EXPECT_EQ(result.status().code(), needed == 0 ? absl::StatusCode::kUnavailable : absl::StatusCode::kResourceExhausted);
  }
}

TEST_F(ChatClientTest, WorkThatTheNetworkAsksForIsDoneBeforeThePut) {
  options_.sender.door_effort = 2;
  Restart();
  ASSERT_OK(Send(alice_, "worked for"));
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"worked for"});
}

// A storing node may show any effort: only what is proved counts with the contact book, and the best of several copies.
TEST_F(ChatClientTest, ARequestIsKeptWithTheWorkThatItProves) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  Fragment fragment;
  fragment.note_id = {1};
  fragment.kind = NoteKind::kHandshake;
  fragment.text = base::Bytes(kHandshakeSize, 5);
  Envelope envelope{.door = door};
  ASSERT_OK_AND_ASSIGN(envelope.sealed,
                       SealEnvelope(alice_.key.public_key(), "local", door.blinded, EncodeFragment(fragment), rng_));
  for (const uint32_t effort : {0u, 3u, 900u}) {
    envelope.place = effort == 3 ? 1 : 2;
    envelope.effort = effort;
    envelope.stamp = {};
    keys::WorkSearch search(StampChallenge("local", envelope), std::max(effort, 1u), rng_);
    for (std::optional<keys::WorkProof> proof; effort == 3 && !proof;) {
      proof = search.Advance();
      if (proof) envelope.stamp = *proof;
    }
    const dht::Record record = MakeEnvelopeRecord(envelope);
    for (support::StoringNode* node : places_.Responsible(record.name.point)) {
      node->places[record.name.point].Merge(*places_.kinds.Find(dht::Kind::kEnvelope), record, dht::Source::kReplica);
    }
  }
  ASSERT_OK(Poll(alice_).result);
  ASSERT_OK_AND_ASSIGN(const std::vector<BookEntry> entries, alice_.inbox.LoadBook());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(*entries[0].value, base::ByteWriter().Append(fragment.text).U32(3).Take());
}

TEST_F(ChatClientTest, TooLongATextIsRefusedBeforeAnythingIsSent) {
  EXPECT_STATUS(Send(alice_, std::string(16385, 'x')), kOutOfRange);
  EXPECT_EQ(operations_.opens, 0);
}

TEST_F(ChatClientTest, ANoteThatStaysIncompleteIsReportedWhenItExpires) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  const std::string text(4000, 'x');
  ASSERT_OK_AND_ASSIGN(const auto fragments,
                       SplitNote(base::AsBytes(text), "local", alice_.key.public_key(), nullptr, loop_.WallNow(), rng_));
  for (const int index : {0, 2}) {
    ASSERT_OK_AND_ASSIGN(const base::Bytes sealed,
                         SealEnvelope(alice_.key.public_key(), "local", door.blinded, EncodeFragment(fragments[index]), rng_));
    const dht::Record record = MakeEnvelopeRecord({door, 1, 0, {}, sealed});
    places_.Responsible(record.name.point)[0]->Put(record, [](absl::StatusOr<dht::PutReply>) {});
  }
  loop_.RunReady();
  EXPECT_TRUE(Poll(alice_).texts.empty());
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
  loop_.RunFor(absl::Hours(24 * 18));
  const Polled polled = Poll(alice_);
  ASSERT_OK(polled.result);
  ASSERT_EQ(polled.result->expired.size(), 1u);
  EXPECT_EQ(polled.result->expired[0].have, 2);
  EXPECT_EQ(polled.result->expired[0].count, 3);
  EXPECT_TRUE(Poll(alice_).result->expired.empty());
}

TEST_F(ChatClientTest, MoreSessionsThanAllowedAreTurnedAway) {
  int turned_away = 0, finished = 0;
  for (size_t i = 0; i < kSessionsMax + 3; ++i) {
    client_->Send({alice_.key.public_key(), {1}, nullptr}, [&](absl::StatusOr<SendResult> result) {
      ++finished;
      turned_away += result.status().code() == absl::StatusCode::kResourceExhausted ? 1 : 0;
    });
  }
  loop_.RunFor(absl::Minutes(1));
  EXPECT_EQ(turned_away, 3);
  EXPECT_EQ(finished, static_cast<int>(kSessionsMax) + 3);
}

}  // namespace
}  // namespace chat
