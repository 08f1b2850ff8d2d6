// SPDX-License-Identifier: Apache-2.0
// Two people and a store that loses things: requests, boxes, order, states, crashes, restores, invites.
#include "chat/contact_book.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "tests/chat/two_people.h"

namespace chat {
namespace {

using support::LossyOptions;
using support::LossyStore;
using support::Person;

class ConversationTest : public TwoPeopleTest {
 protected:
  using TwoPeopleTest::TwoPeopleTest;

  // Both know and accept each other, and each has opened a message of the other.
  void Befriend() {
    RunBoth();  // bundles
    ASSERT_OK(alice_.book().Add("bob", bob_.address()));
    ASSERT_OK(alice_.Send(bob_.address(), "hello", now_));
    RunBoth();
    ASSERT_OK(bob_.book().Add("alice", alice_.address()));
    RunBoth(3);
    ASSERT_EQ(TextsOf(bob_), std::vector<std::string>{"hello"});
    ASSERT_TRUE(alice_.book().FindConversation(bob_.address())->confirmed());
    bob_.shown.clear();
  }
  static std::vector<std::string> TextsOf(const Person& person) {
    std::vector<std::string> texts;
    for (const Person::Shown& one : person.shown) texts.push_back(one.text);
    return texts;
  }
  static bool Noticed(const Person& person, BookNotice::Kind kind) {
    return std::any_of(person.notices.begin(), person.notices.end(), [&](const auto& one) { return one.kind == kind; });
  }
};

TEST_F(ConversationTest, AStrangerWaitsUntilAcceptedThenBothTalk) {
  RunBoth();
  ASSERT_OK(alice_.book().Add("bob", bob_.address()));
  ASSERT_OK_AND_ASSIGN(const MessageId first, alice_.Send(bob_.address(), "It is me.", now_));
  ASSERT_OK_AND_ASSIGN(const MessageId long_one, alice_.Send(bob_.address(), std::string(16384, 'x'), now_));
  RunBoth(2);
  EXPECT_EQ(alice_.states[first].state, DeliveryState::kStored);
  EXPECT_EQ(alice_.states[first].copies, 3);
  EXPECT_TRUE(Noticed(bob_, BookNotice::Kind::kRequest));
  EXPECT_TRUE(bob_.shown.empty()) << "nothing of a stranger is shown";
  ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  RunBoth(3);
  EXPECT_EQ(TextsOf(bob_), (std::vector<std::string>{"It is me.", std::string(16384, 'x')}));
  EXPECT_TRUE(Noticed(alice_, BookNotice::Kind::kAnswered));
  EXPECT_EQ(alice_.states[first].state, DeliveryState::kDelivered);
  ASSERT_OK_AND_ASSIGN(const MessageId reply, bob_.Send(alice_.address(), "I see.", now_));
  RunBoth(2);
  EXPECT_EQ(TextsOf(alice_), std::vector<std::string>{"I see."});
  EXPECT_EQ(alice_.shown[0].from, bob_.address());
  EXPECT_EQ(bob_.states[reply].state, DeliveryState::kStored) << "alice chose not to confirm";
  EXPECT_EQ(alice_.states[long_one].state, DeliveryState::kDelivered);
}

TEST_F(ConversationTest, ConfirmationsAreAChoice) {
  Befriend();
  bob_.book().SetAcknowledge(alice_.address(), true);
  ASSERT_OK_AND_ASSIGN(const MessageId id, alice_.Send(bob_.address(), "seen?", now_));
  RunBoth(3);
  EXPECT_EQ(alice_.states[id].state, DeliveryState::kDelivered);
  EXPECT_TRUE(alice_.shown.empty()) << "a confirmation is nothing to read";
}

TEST_F(ConversationTest, EveryTextOfAnySizeArrivesOnceInOrder) {
  Befriend();
  std::vector<std::string> sent;
  for (const size_t size : {0u, 1u, 1505u, 1506u, 1507u, 1724u, 1725u, 3448u, 16384u, 65536u}) {
    sent.push_back(std::string(size, static_cast<char>('a' + sent.size())));
    ASSERT_OK(alice_.Send(bob_.address(), sent.back(), now_));
  }
  EXPECT_STATUS(alice_.Send(bob_.address(), std::string(65537, 'x'), now_), kOutOfRange);
  RunBoth(2);
  EXPECT_EQ(TextsOf(bob_), sent);
}

TEST_F(ConversationTest, BothWriteFirstAndEndInOneSession) {
  Meet();
  ASSERT_OK(alice_.Send(bob_.address(), "from alice", now_));
  ASSERT_OK(bob_.Send(alice_.address(), "from bob", now_));
  EXPECT_OK(alice_.Run(now_, false));
  EXPECT_OK(bob_.Run(now_, false));
  RunBoth(4);
  EXPECT_EQ(TextsOf(bob_), std::vector<std::string>{"from alice"});
  EXPECT_EQ(TextsOf(alice_), std::vector<std::string>{"from bob"});
  ASSERT_OK(alice_.Send(bob_.address(), "again", now_));
  ASSERT_OK(bob_.Send(alice_.address(), "again too", now_));
  RunBoth(3);
  EXPECT_EQ(TextsOf(bob_).back(), "again");
  EXPECT_EQ(TextsOf(alice_).back(), "again too");
}

TEST_F(ConversationTest, AMessageBehindAGapWaitsForIt) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "one", now_));
  EXPECT_OK(alice_.Run(now_, false));
  store_.ForgetEverything();
  ASSERT_OK(alice_.Send(bob_.address(), "two", now_));
  EXPECT_OK(alice_.Run(now_, false));
  for (int i = 0; i < 9; ++i) EXPECT_OK(bob_.Run(now_ += absl::Seconds(10)));
  EXPECT_TRUE(bob_.shown.empty());
  Pass(absl::Minutes(11));  // "one" is put again
  RunBoth(4);
  EXPECT_EQ(TextsOf(bob_), (std::vector<std::string>{"one", "two"}));
  for (const Person::Shown& one : bob_.shown) EXPECT_FALSE(one.late);
}

// Else whoever leaves a gap fills our memory, all of which goes to disk with every message.
TEST_F(ConversationTest, SoManyWaitBehindAGapAndNoMore) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "before", now_));
  RunBoth(2);
  bob_.shown.clear();
  ASSERT_OK(alice_.Send(bob_.address(), "lost", now_));
  EXPECT_OK(alice_.Run(now_, false));
  store_.ForgetEverything();
  for (size_t i = 0; i < kArrivedMax + 3; ++i)
    ASSERT_OK(alice_.book().Send(bob_.address(), base::ToBytes(base::AsBytes(absl::StrCat(i))), now_));
  EXPECT_OK(alice_.Run(now_, false));
  for (int i = 0; i < 9; ++i) EXPECT_OK(bob_.Run(now_ += absl::Seconds(10)));
  ASSERT_EQ(bob_.shown.size(), kArrivedMax + 3) << "none of them waits for the hour to be over";
  for (size_t i = 0; i < bob_.shown.size(); ++i) EXPECT_EQ(bob_.shown[i].text, absl::StrCat(i));
  Pass(absl::Minutes(11));  // "lost" is put again
  RunBoth(3);
  ASSERT_EQ(bob_.shown.size(), kArrivedMax + 4);
  const auto late = std::find_if(bob_.shown.begin(), bob_.shown.end(), [](const Person::Shown& one) { return one.late; });
  ASSERT_NE(late, bob_.shown.end());
  EXPECT_EQ(late->text, "lost");
}

TEST_F(ConversationTest, TheIdThatWasSeenFirstIsForgottenFirstAfterARestartToo) {
  Befriend();
  InboxChange filled;
  std::vector<MessageId> ids;
  support::SeededRng rng(3);
  const size_t known = bob_.book().FindConversation(alice_.address())->seen().size();
  for (size_t i = known; i < kSeenIdsMax; ++i) {
    ids.push_back(rng.Array<16>());
    filled.book.push_back({'d', base::ByteWriter().Append(alice_.address().view()).Append(ids.back()).Take(),
                           base::ByteWriter().U64(100 + i).Take()});
  }
  ids.push_back(rng.Array<16>());  // of an earlier version, which wrote no order
  filled.book.back() = {'d', base::ByteWriter().Append(alice_.address().view()).Append(ids.back()).Take(), base::Bytes()};
  ids.erase(ids.end() - 2);
  ASSERT_OK(bob_.inbox().Apply(filled));
  std::vector<MessageId> order = {ids.back()};  // then what Befriend has left
  for (const MessageId& id : bob_.book().FindConversation(alice_.address())->seen()) order.push_back(id);
  order.insert(order.end(), ids.begin(), ids.end() - 1);
  for (size_t i = 0; i < known + 3; ++i) {
    bob_.Restart(now_);
    const auto& seen = bob_.book().FindConversation(alice_.address())->seen();
    EXPECT_EQ(seen.size(), kSeenIdsMax);
    for (size_t place = 0; place < order.size(); ++place) EXPECT_EQ(seen.contains(order[place]), place >= i) << place;
    ASSERT_OK(alice_.Send(bob_.address(), absl::StrCat("text ", i), now_));
    RunBoth(2);
  }
}

TEST_F(ConversationTest, AnUpkeepReadsSomeInvitesAndTheNextOneTheNext) {
  constexpr size_t kInvites = 3 * kInvitesPerUpkeep;
  for (size_t i = 0; i < kInvites; ++i) ASSERT_OK(alice_.book().CreateInvite("", kInviteLifeDefault, now_));
  const auto points_read = [&] {
    std::set<overlay::NodeId> points;
    for (const BookTask& task : alice_.book().Tasks(now_, 1000)) {
      if (!task.put) points.insert(task.point);
    }
    return points;
  };
  std::set<overlay::NodeId> all;
  for (size_t i = 0; i < kInvites / kInvitesPerUpkeep; ++i) {
    alice_.book().BeginUpkeep(now_);
    const auto points = points_read();
    EXPECT_EQ(points.size(), kInvitesPerUpkeep * kPlaceCount);
    all.insert(points.begin(), points.end());
  }
  EXPECT_EQ(all.size(), kInvites * kPlaceCount);
  alice_.book().BeginRound(now_);
  EXPECT_EQ(points_read(), all) << "a whole round reads all";
}

TEST_F(ConversationTest, WhatIsLostForGoodIsSaidOnBothSides) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "before", now_));
  RunBoth(2);
  bob_.shown.clear();
  ASSERT_OK_AND_ASSIGN(const MessageId lost, alice_.Send(bob_.address(), "lost", now_));
  EXPECT_OK(alice_.Run(now_, false));
  store_.ForgetEverything();
  ASSERT_OK(alice_.Send(bob_.address(), "kept", now_));
  EXPECT_OK(alice_.Run(now_, false));
  // Alice is away from now on: nothing is put again.
  for (int i = 0; i < 20; ++i) EXPECT_OK(bob_.Run(now_ += absl::Minutes(10)));
  EXPECT_EQ(TextsOf(bob_), std::vector<std::string>{"kept"});
  EXPECT_FALSE(Noticed(bob_, BookNotice::Kind::kLost));
  Pass(absl::Hours(24 * 17));
  EXPECT_OK(bob_.Run(now_));
  EXPECT_TRUE(Noticed(bob_, BookNotice::Kind::kLost));
  EXPECT_OK(alice_.Run(now_));
  EXPECT_EQ(alice_.states[lost].state, DeliveryState::kExpired);
  RunBoth(4);
  ASSERT_OK(alice_.Send(bob_.address(), "and on", now_));
  RunBoth(4);
  EXPECT_EQ(TextsOf(bob_).back(), "and on");
}

TEST_F(ConversationTest, AReaderAwayForAMonthLosesNothingThatWasNotSaidToHaveExpired) {
  Befriend();
  std::vector<MessageId> ids;
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK_AND_ASSIGN(ids.emplace_back(), alice_.Send(bob_.address(), absl::StrCat("day ", i), now_));
    EXPECT_OK(alice_.Run(now_));
    Pass(absl::Hours(24));
  }
  RunBoth(6);
  std::set<std::string> texts;
  for (const std::string& text : TextsOf(bob_)) EXPECT_TRUE(texts.insert(text).second) << text;
  for (int i = 0; i < 30; ++i) {
    const bool expired = alice_.states[ids[static_cast<size_t>(i)]].state == DeliveryState::kExpired;
    EXPECT_TRUE(expired || texts.contains(absl::StrCat("day ", i))) << i;
  }
  EXPECT_GE(texts.size(), 14u);
}

TEST_F(ConversationTest, KilledAtAnyWriteNothingIsLostOrShownTwice) {
  Befriend();
  for (int64_t cut = 0; cut < 24; ++cut) {
    for (Person* person : {&alice_, &bob_}) {
      alice_.shown.clear();
      bob_.shown.clear();
      ASSERT_OK(alice_.Send(bob_.address(), absl::StrCat("a ", cut), now_));
      ASSERT_OK(bob_.Send(alice_.address(), absl::StrCat("b ", cut), now_));
      person->disk.writes_left = cut;
      (void)alice_.Run(now_);
      (void)bob_.Run(now_);
      person->Restart(now_);
      Pass(absl::Minutes(11));
      RunBoth(3);
      ASSERT_EQ(TextsOf(bob_), std::vector<std::string>{absl::StrCat("a ", cut)}) << cut;
      ASSERT_EQ(TextsOf(alice_), std::vector<std::string>{absl::StrCat("b ", cut)}) << cut;
    }
  }
}

TEST_F(ConversationTest, ARestoredPersonGoesOnWithinOneExchange) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "before", now_));
  RunBoth(2);
  ASSERT_OK(alice_.Send(bob_.address(), "while you were gone", now_));
  EXPECT_OK(alice_.Run(now_));
  bob_.shown.clear();
  bob_.RestoreOnNewMachine(now_, {{"alice", alice_.address()}});
  EXPECT_OK(bob_.Run(now_));  // writes first
  EXPECT_OK(alice_.Run(now_));
  EXPECT_TRUE(Noticed(alice_, BookNotice::Kind::kReplaced));
  ASSERT_OK(alice_.Send(bob_.address(), "there you are", now_));
  RunBoth(2);
  const std::vector<std::string> texts = TextsOf(bob_);
  EXPECT_TRUE(std::find(texts.begin(), texts.end(), "while you were gone") != texts.end());
  EXPECT_EQ(texts.back(), "there you are");
  ASSERT_OK(bob_.Send(alice_.address(), "here I am", now_));
  RunBoth(2);
  EXPECT_EQ(TextsOf(alice_).back(), "here I am");
}

TEST_F(ConversationTest, AnInviteSkipsTheDoor) {
  ASSERT_OK_AND_ASSIGN(const InviteCode code, alice_.book().CreateInvite("bob", kInviteLifeDefault, now_));
  ASSERT_OK_AND_ASSIGN(const InviteCode read, ParseInvite(FormatInvite(code)));
  EXPECT_EQ(read, code);
  ASSERT_OK(bob_.book().TakeUp(read, "alice", now_));
  ASSERT_OK(bob_.Send(alice_.address(), "thank you for the invite", now_));
  bob_.log_tasks = true;
  EXPECT_OK(bob_.Run(now_, false));
  for (const BookTask& task : bob_.carried) EXPECT_FALSE(std::holds_alternative<PutRequest>(task.request)) << "no door";
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(alice_.Run(now_, false));
    EXPECT_OK(bob_.Run(now_, false));
  }
  EXPECT_TRUE(Noticed(alice_, BookNotice::Kind::kInviteTaken));
  EXPECT_EQ(TextsOf(alice_), std::vector<std::string>{"thank you for the invite"});
  ASSERT_NE(alice_.book().FindName("bob"), nullptr);
  ASSERT_OK(alice_.Send(bob_.address(), "welcome", now_));
  RunBoth(2);
  EXPECT_EQ(TextsOf(bob_), std::vector<std::string>{"welcome"});
  EXPECT_EQ(alice_.book().invite_count(), 0u) << "once";
  Person carol(store_, 300);
  EXPECT_STATUS(carol.book().TakeUp(read, "alice", now_ + absl::Hours(26)), kDeadlineExceeded);
  ASSERT_OK(carol.book().TakeUp(read, "alice", now_));
  EXPECT_OK(carol.Run(now_));
  RunBoth(2);
  EXPECT_EQ(alice_.book().contacts().size(), 1u) << "a used invite lets nobody in";
}

TEST_F(ConversationTest, AKnownNameWithAnotherKeyStopsTheSending) {
  Befriend();
  Person mallory(store_, 400);
  alice_.book().SetVerified(bob_.address(), true);
  alice_.book().SetLife(bob_.address(), 4);
  alice_.book().SetAcknowledge(bob_.address(), true);
  EXPECT_STATUS(alice_.book().Add("bob", mallory.address()), kFailedPrecondition);
  EXPECT_STATUS(alice_.Send(bob_.address(), "secret", now_), kFailedPrecondition);
  EXPECT_TRUE(alice_.book().FindName("bob")->changed_key.has_value());
  ASSERT_OK(alice_.book().AcceptChangedKey("bob"));
  EXPECT_EQ(alice_.book().FindName("bob")->key, mallory.address());
  EXPECT_FALSE(alice_.book().FindName("bob")->verified);
  EXPECT_EQ(alice_.book().FindName("bob")->life, 4) << "messages disappear as before";
  EXPECT_TRUE(alice_.book().FindName("bob")->acknowledge);
}

TEST_F(ConversationTest, AMistypedAddressIsTakenBackByTheKnownOne) {
  Befriend();
  Person mallory(store_, 400);
  EXPECT_STATUS(alice_.book().Add("bob", mallory.address()), kFailedPrecondition);
  ASSERT_OK(alice_.book().Add("bob", bob_.address()));
  EXPECT_FALSE(alice_.book().FindName("bob")->changed_key.has_value());
  ASSERT_OK(alice_.Send(bob_.address(), "still you", now_));
}

TEST_F(ConversationTest, AKeyUnderAnotherNameReplacesNobody) {
  Befriend();
  Person carol(store_, 400);
  EXPECT_STATUS(alice_.book().Add("bob", carol.address()), kFailedPrecondition);
  ASSERT_OK(alice_.book().Add("carol", carol.address()));
  EXPECT_STATUS(alice_.book().AcceptChangedKey("bob"), kAlreadyExists);
  EXPECT_NE(alice_.book().FindName("bob"), nullptr) << "nobody is lost";
  ASSERT_OK(alice_.book().Add("bob", bob_.address()));
  EXPECT_STATUS(alice_.book().Add("bob", carol.address()), kAlreadyExists);
  EXPECT_FALSE(alice_.book().FindName("bob")->changed_key.has_value());
}

TEST_F(ConversationTest, ABlockedPersonIsHeardNoMore) {
  Befriend();
  ASSERT_OK(bob_.book().Block(alice_.address()));
  ASSERT_OK(alice_.Send(bob_.address(), "are you there?", now_));
  RunBoth(3);
  EXPECT_TRUE(bob_.shown.empty());
}

TEST_F(ConversationTest, NoTwoBoxesOfAPairHaveAnythingInCommon) {
  Befriend();
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(alice_.Send(bob_.address(), "same text", now_));
    ASSERT_OK(bob_.Send(alice_.address(), "same text", now_));
    RunBoth(1);
  }
  std::map<std::array<uint8_t, 32>, std::set<uint8_t>> places_of_key;
  std::set<base::Bytes> pieces;
  size_t boxes = 0;
  std::set<dht::RecordName> names;
  for (const dht::Record& record : store_.All()) {
    if (record.name.kind != dht::Kind::kBox || !names.insert(record.name).second) continue;
    ++boxes;
    ASSERT_OK_AND_ASSIGN(const Box box, DecodeBox(record.body));
    EXPECT_EQ(record.body.size(), kBoxBodySize);
    EXPECT_TRUE(places_of_key[box.key.bytes].insert(box.place).second);
    if (places_of_key[box.key.bytes].size() > 1) continue;  // the same bytes at another place
    for (size_t at = 0; at + 16 <= box.sealed.size(); at += 16) {
      EXPECT_TRUE(pieces
                      .insert(base::Bytes(box.sealed.begin() + static_cast<ptrdiff_t>(at),
                                          box.sealed.begin() + static_cast<ptrdiff_t>(at) + 16))
                      .second);
    }
  }
  EXPECT_GE(boxes, 80u);
}

TEST_F(ConversationTest, SafetyWordsAreTheSameForBothAndOthersForAnyoneElse) {
  const std::string words = SafetyWords("local", alice_.address(), bob_.address());
  EXPECT_EQ(words, SafetyWords("local", bob_.address(), alice_.address()));
  EXPECT_EQ(words.size(), 8u * 5 + 7);
  const std::string number = SafetyNumber("local", alice_.address(), bob_.address());
  EXPECT_EQ(number, SafetyNumber("local", bob_.address(), alice_.address()));
  EXPECT_EQ(number.size(), 12u * 5 + 11);
  EXPECT_NE(words, SafetyWords("local", alice_.address(), alice_.address()));
  EXPECT_NE(number, SafetyNumber("other", alice_.address(), bob_.address()));
}

class LossyConversationTest : public ConversationTest, public testing::WithParamInterface<int> {
 protected:
  LossyConversationTest()
      : ConversationTest({.nodes = 20, .droppers = 4, .failure = 0.1, .lost_answer = 0.1, .half_life = absl::Hours(1)},
                         static_cast<uint64_t>(GetParam())) {}
};

TEST_P(LossyConversationTest, NothingIsLostInSilenceShownTwiceOrOutOfOrder) {
  support::SeededRng rng(static_cast<uint64_t>(GetParam()));
  MeetWithReceipts();
  RunBoth();
  std::vector<std::string> sent[2];
  Person* people[2] = {&alice_, &bob_};
  for (int step = 0; step < 300; ++step) {
    const size_t who = rng.Below(2);
    Person& person = *people[who];
    if (rng.Below(2) == 0) {
      sent[who].push_back(absl::StrCat(who, " says ", sent[who].size(), std::string(rng.Below(3000), '.')));
      ASSERT_OK(person.Send(people[1 - who]->address(), sent[who].back(), now_));
    }
    if (rng.Below(4) == 0) person.disk.writes_left = static_cast<int64_t>(rng.Below(10));
    (void)person.Run(now_, rng.Below(4) == 0);
    if (person.disk.writes_left >= 0) person.Restart(now_);
    Pass(absl::Minutes(1 + static_cast<int64_t>(rng.Below(20))));
  }
  RunBoth(600, absl::Minutes(5));
  for (size_t who = 0; who < 2; ++who) {
    const Person& reader = *people[1 - who];
    std::map<std::string, int> times;
    for (const std::string& text : TextsOf(reader)) ++times[text];
    size_t lost = 0, twice = 0, out_of_order = 0, not_delivered = 0, last = 0;
    for (const std::string& text : sent[who]) {
      lost += times[text] == 0 ? 1 : 0;
      twice += times[text] > 1 ? 1 : 0;
    }
    for (const Person::Shown& one : reader.shown) {
      const size_t number = static_cast<size_t>(std::find(sent[who].begin(), sent[who].end(), one.text) - sent[who].begin());
      out_of_order += !one.late && number < last ? 1 : 0;
      last = std::max(last, number);
    }
    for (const auto& [id, change] : people[who]->states) not_delivered += change.state != DeliveryState::kDelivered ? 1 : 0;
    EXPECT_EQ(lost, 0u) << "of " << sent[who].size();
    EXPECT_EQ(twice, 0u);
    EXPECT_EQ(out_of_order, 0u);
    EXPECT_EQ(not_delivered, 0u);
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, LossyConversationTest, testing::Range(1, 9));

}  // namespace
}  // namespace chat
