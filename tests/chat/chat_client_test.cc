// SPDX-License-Identifier: Apache-2.0
// A whole send and poll: real sender, poller, mailboxes and inbox over fake circuits and stores.
#include "chat/chat_client.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/chat/chat_client_world.h"

namespace chat {
namespace {

using Person = support::MailboxOwner;
using support::Polled;

class ChatClientTest : public support::ChatClientWorld {};

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
