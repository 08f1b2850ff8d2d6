// SPDX-License-Identifier: Apache-2.0
// Notes that can be answered: a conversation of its own, as an identity that was made for one note.
#include <gtest/gtest.h>

#include "chat/contact_book.h"
#include "tests/chat/book_world.h"

namespace chat {
namespace {

using support::LossyStore;
using support::Person;

class ReplyTest : public testing::Test {
 protected:
  void Run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (Person* person : {&alice_, &bob_, &carol_}) EXPECT_OK(person->Run(now_));
      now_ += absl::Minutes(1);
    }
  }
  // What bob finds in a note of alice's.
  InviteCode NoteToBob() {
    const auto reply = alice_.book().CreateReply(bob_.address(), now_);
    EXPECT_OK(reply);
    EXPECT_OK(alice_.Run(now_));
    return *DecodeReply(*reply);
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  LossyStore store_{{}, 1};
  Person alice_{store_, 100}, bob_{store_, 200}, carol_{store_, 300};
};

TEST_F(ReplyTest, BothTalkAndTheAnswererNeverLearnsWhoItIs) {
  const InviteCode code = NoteToBob();
  EXPECT_NE(code.owner, alice_.address());
  alice_.Restart(now_);
  ASSERT_OK(bob_.book().TakeUp(code, "#note", now_));
  ASSERT_OK(bob_.Send(code.owner, "who are you?", now_));
  Run(2);
  ASSERT_EQ(alice_.shown.size(), 1u);
  EXPECT_EQ(alice_.shown[0].text, "who are you?");
  const keys::PublicKey contact = alice_.shown[0].from;
  EXPECT_EQ(contact, code.owner) << "stands under the identity of the note";
  EXPECT_EQ(alice_.book().contacts().at(contact).address(), bob_.address());
  alice_.Restart(now_);
  ASSERT_OK(alice_.Send(contact, "guess", now_));
  Run(2);
  ASSERT_EQ(bob_.shown.size(), 1u);
  EXPECT_EQ(bob_.shown[0].text, "guess");
  EXPECT_EQ(bob_.shown[0].from, code.owner);
  EXPECT_FALSE(bob_.book().contacts().contains(alice_.address()));
  EXPECT_FALSE(alice_.book().contacts().contains(bob_.address()));
  EXPECT_EQ(alice_.book().invite_count(), 0u) << "used up";
}

TEST_F(ReplyTest, WhatDidNotLeaveIsWithdrawnAndTakesNoPlaceAfterARestart) {
  const auto reply = alice_.book().CreateReply(bob_.address(), now_);
  const auto other = alice_.book().CreateReply(bob_.address(), now_);
  ASSERT_OK(alice_.Run(now_));
  alice_.book().WithdrawReply(*reply);
  alice_.book().WithdrawReply(*reply);
  ASSERT_OK(alice_.Run(now_));
  alice_.Restart(now_);
  EXPECT_EQ(alice_.book().invite_count(), 1u);
  ASSERT_OK(bob_.book().TakeUp(*DecodeReply(*other), "#note", now_));
  ASSERT_OK(bob_.Send(DecodeReply(*other)->owner, "the other one", now_));
  Run(2);
  EXPECT_EQ(alice_.shown.size(), 1u);
}

TEST_F(ReplyTest, ItStandsBesideTheConversationOfTheSameTwo) {
  Run(1);
  ASSERT_OK(alice_.book().Add("bob", bob_.address()));
  ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  ASSERT_OK(alice_.Send(bob_.address(), "as alice", now_));
  Run(3);
  const InviteCode first = NoteToBob(), second = NoteToBob();
  ASSERT_OK(bob_.book().TakeUp(first, "#one", now_));
  ASSERT_OK(bob_.book().TakeUp(second, "#two", now_));
  ASSERT_OK(bob_.Send(first.owner, "to one", now_));
  ASSERT_OK(bob_.Send(second.owner, "to two", now_));
  ASSERT_OK(bob_.Send(alice_.address(), "to alice", now_));
  Run(3);
  std::map<keys::PublicKey, std::string> from;
  for (const Person::Shown& one : alice_.shown) from[one.from] = one.text;
  EXPECT_EQ(from, (std::map<keys::PublicKey, std::string>{
                      {first.owner, "to one"}, {second.owner, "to two"}, {bob_.address(), "to alice"}}));
  for (const keys::PublicKey& key : {first.owner, second.owner, bob_.address()}) {
    EXPECT_TRUE(alice_.book().FindConversation(key)->confirmed());
    ASSERT_NE(alice_.book().contacts().find(key), alice_.book().contacts().end());
  }
  ASSERT_OK(alice_.book().Remove(first.owner));
  ASSERT_OK(alice_.Send(second.owner, "still there", now_));
  Run(2);
  EXPECT_EQ(bob_.shown.back().text, "still there");
}

TEST_F(ReplyTest, NobodyElseCanAnswer) {
  const InviteCode code = NoteToBob();
  ASSERT_OK(carol_.book().TakeUp(code, "#stolen", now_));
  ASSERT_OK(carol_.Send(code.owner, "I am bob", now_));
  Run(3);
  EXPECT_TRUE(alice_.shown.empty());
  EXPECT_TRUE(alice_.book().contacts().empty());
  EXPECT_TRUE(alice_.book().conversations().empty());
}

TEST_F(ReplyTest, AWriterWhoReadsAfterDaysFindsTheAnswerAndBothGoOn) {
  const InviteCode code = NoteToBob();
  ASSERT_OK(bob_.book().AnswerNote(code, "#note", now_));
  ASSERT_OK(bob_.Send(code.owner, "who are you?", now_));
  for (int hour = 0; hour < 96; hour += 6) {
    ASSERT_OK(bob_.Run(now_));
    bob_.Restart(now_);  // that there is no door is on disk, too
    now_ += absl::Hours(6);
  }
  Run(2);
  ASSERT_EQ(alice_.shown.size(), 1u);
  EXPECT_EQ(alice_.shown[0].text, "who are you?");
  ASSERT_OK(alice_.Send(alice_.shown[0].from, "guess", now_));
  Run(2);
  ASSERT_EQ(bob_.shown.size(), 1u);
  EXPECT_EQ(bob_.shown[0].text, "guess");
  ASSERT_OK(bob_.Send(code.owner, "alice", now_));
  Run(2);
  EXPECT_EQ(alice_.shown.back().text, "alice");
}

// There is no second handshake: it is not thrown away because a clock is wrong.
TEST_F(ReplyTest, AnAnswerFromAClockThatIsDaysAheadIsTakenUpWhenItsTimeHasCome) {
  const InviteCode code = NoteToBob();
  const absl::Time ahead = now_ + absl::Hours(100);
  ASSERT_OK(bob_.book().TakeUp(code, "#note", ahead));
  ASSERT_OK(bob_.Send(code.owner, "who are you?", ahead));
  ASSERT_OK(bob_.Run(ahead));
  for (int hour = 0; hour < 120; hour += 6) {
    ASSERT_OK(alice_.Run(now_));
    alice_.Restart(now_);
    now_ += absl::Hours(6);
    if (hour < 48) EXPECT_TRUE(alice_.shown.empty());
  }
  ASSERT_EQ(alice_.shown.size(), 1u);
  EXPECT_EQ(alice_.shown[0].text, "who are you?");
}

TEST_F(ReplyTest, NothingForTheWriterGoesToWhoeverTheNoteNames) {
  Run(1);
  support::SeededRng rng(9);
  const InviteCode code = MakeInvite(carol_.address(), "", now_ + kInviteLifeMax, rng).code;  // the owner's key proves nothing
  ASSERT_OK(bob_.book().AnswerNote(code, "#note", now_));
  ASSERT_OK(bob_.Send(code.owner, "for the writer", now_));
  for (int day = 0; day < 16; ++day) {
    Run(2);
    now_ += absl::Hours(24);
  }
  EXPECT_TRUE(carol_.shown.empty());
  EXPECT_TRUE(carol_.book().contacts().empty());
}

TEST_F(ReplyTest, AnAddressThatNobodyMadeLeavesNoContact) {
  Run(1);
  InviteCode code = NoteToBob();
  code.owner = carol_.address();
  code.prekey = {};
  EXPECT_STATUS(bob_.book().AnswerNote(code, "#note", now_), kUnauthenticated);
  EXPECT_STATUS(bob_.book().TakeUp(code, "invite", now_), kUnauthenticated);
  Run(3);
  EXPECT_TRUE(bob_.book().contacts().empty());
  EXPECT_TRUE(bob_.book().conversations().empty());
  bob_.Restart(now_);
  EXPECT_TRUE(bob_.book().contacts().empty());
  EXPECT_TRUE(bob_.book().conversations().empty());
}

TEST_F(ReplyTest, SomebodyWhoIsKnownKeepsTheDoorWhateverANoteSays) {
  Run(1);
  ASSERT_OK(bob_.book().Add("carol", carol_.address()));
  support::SeededRng rng(9);
  const InviteCode code = MakeInvite(carol_.address(), "", now_ + kInviteLifeMax, rng).code;
  EXPECT_STATUS(bob_.book().AnswerNote(code, "carol", now_), kAlreadyExists);
  EXPECT_FALSE(bob_.book().FindName("carol")->doorless);
  ASSERT_OK(carol_.book().Add("bob", bob_.address()));
  ASSERT_OK(bob_.Send(carol_.address(), "as ever", now_));
  Run(3);
  ASSERT_EQ(carol_.shown.size(), 1u);
  EXPECT_EQ(carol_.shown[0].text, "as ever");
}

TEST_F(ReplyTest, AfterTwoWeeksItIsTooLate) {
  const InviteCode code = NoteToBob();
  EXPECT_STATUS(bob_.book().TakeUp(code, "#note", now_ + kInviteLifeMax + absl::Hours(1)), kDeadlineExceeded);
  EXPECT_TRUE(bob_.book().contacts().empty());
  now_ += kInviteLifeMax + absl::Hours(2);
  Run(1);
  EXPECT_EQ(alice_.book().invite_count(), 0u);
}

TEST_F(ReplyTest, OnlySoManyAreLookedFor) {
  for (size_t i = 0; i < kInvitesMax; ++i) ASSERT_OK(alice_.book().CreateReply(bob_.address(), now_));
  EXPECT_STATUS(alice_.book().CreateReply(bob_.address(), now_), kResourceExhausted);
}

TEST(ReplyNoteTest, TheAddressTravelsInTheFirstFragmentAndNowhereElse) {
  support::SeededRng rng(1);
  const keys::SigningKey reader = keys::SigningKey::Generate(rng);
  const Invite invite = MakeReply(reader.public_key(), "#note", absl::FromUnixSeconds(1'795'000'000), rng);
  const NoteReply reply = EncodeReply(invite.code);
  ASSERT_OK_AND_ASSIGN(const InviteCode code, DecodeReply(reply));
  EXPECT_EQ(code, invite.code);
  const base::Bytes text(4000, 'x');
  ASSERT_OK_AND_ASSIGN(const auto fragments,
                       SplitNote(text, "local", reader.public_key(), nullptr, absl::UnixEpoch(), rng, reply));
  std::vector<Fragment> read;
  for (const Fragment& fragment : fragments) {
    ASSERT_OK_AND_ASSIGN(read.emplace_back(), DecodeFragment(EncodeFragment(fragment)));
    EXPECT_EQ(read.back(), fragment);
    EXPECT_EQ(fragment.reply.has_value(), fragment.index == 0);
  }
  ASSERT_OK_AND_ASSIGN(const Note note, JoinNote(read, "local", reader.public_key()));
  EXPECT_EQ(note.reply, reply);
  EXPECT_EQ(note.text, text);
  EXPECT_FALSE(note.sender.has_value());
  base::Bytes odd = EncodeFragment(fragments[0]);
  odd[kFragmentHeaderSize + kReplySize] = 1;
  EXPECT_STATUS(DecodeFragment(odd), kInvalidArgument);
}

TEST(ReplyNoteTest, AnInviteOfThatKindSurvivesTheDiskAndAnAddressOfNobodyIsRefused) {
  support::SeededRng rng(1);
  const keys::PublicKey only = keys::SigningKey::Generate(rng).public_key();
  const Invite invite = MakeReply(only, "#note", absl::FromUnixSeconds(1'795'000'000), rng);
  ASSERT_OK_AND_ASSIGN(const Invite read, DecodeInvite(EncodeInvite(invite)));
  ASSERT_TRUE(read.reply.has_value());
  EXPECT_EQ(read.code, invite.code);
  EXPECT_EQ(read.reply->only, only);
  EXPECT_EQ(read.name, "#note");
  const keys::SigningKey own(keys::Secret<32>(base::ByteView(read.reply->own_seed.view())));
  EXPECT_EQ(own.public_key(), invite.code.owner);
  NoteReply odd = EncodeReply(invite.code);
  std::fill_n(odd.begin(), 32, uint8_t{0});
  EXPECT_STATUS(DecodeReply(odd), kInvalidArgument);
}

}  // namespace
}  // namespace chat
