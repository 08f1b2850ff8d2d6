// SPDX-License-Identifier: Apache-2.0
// Groups by themselves: who reads what, which chains, what is lost and what is said of it, restarts and restores.
#include "chat/group_book.h"

#include <gtest/gtest.h>

#include "tests/chat/group_book_world.h"

namespace chat {
namespace {

using support::Boxes;
using support::Texts;

class GroupBookTest : public support::GroupBookWorld {};

TEST_F(GroupBookTest, OneWritesOnceAndAllTheOthersRead) {
  People(5);
  Found(5);
  Say(0, "hello, all");
  Say(3, std::string(5000, 'x'));
  Round();
  EXPECT_EQ(boxes_.size(), 1u + 3u) << "one box for a short text, three for a long one, however many read";
  EXPECT_EQ(At(0).texts, Texts{std::string(5000, 'x')});
  for (const size_t i : {1, 2, 4}) EXPECT_EQ(At(i).texts.size(), 2u);
  EXPECT_EQ(At(3).texts, Texts{"hello, all"});
  Round();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(At(i).texts.size(), i == 0 || i == 3 ? 1u : 2u) << "each once";
}

TEST_F(GroupBookTest, AnInvitationWaitsAndSoDoesWhatIsWritten) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, 3), "me", now_));
  Say(0, "who is here?");
  Round();
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kInvited), 1u);
  EXPECT_TRUE(At(1).texts.empty());
  EXPECT_STATUS(At(1).book->Send(group_, {}, now_), kFailedPrecondition);
  ASSERT_OK(At(1).book->Accept(group_, now_));
  Say(1, "I am");
  Round();
  EXPECT_EQ(At(1).texts, Texts{"who is here?"});
  EXPECT_EQ(At(0).texts, Texts{"I am"});
  EXPECT_TRUE(At(2).texts.empty());
  ASSERT_OK(At(2).book->Accept(group_, now_));
  Round();
  EXPECT_EQ(At(2).texts.size(), 2u) << "what was written since the invitation";
}

TEST_F(GroupBookTest, WhoIsAddedReadsNothingFromBefore) {
  People(4);
  Found(3);
  Say(0, "before");
  Say(1, "before too");
  Round();
  Say(0, "before, not sealed yet");
  ASSERT_OK(At(0).book->Add(group_, Others(3, 4), now_));
  Talk();
  ASSERT_OK(At(3).book->Accept(group_, now_));
  Say(0, "after");
  Say(2, "after too");
  Round();
  EXPECT_EQ(At(3).texts, (Texts{"after", "after too"}));
  Say(3, "thank you");
  Round();
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(At(i).texts.back(), "thank you");
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kJoined), 1u);
}

TEST_F(GroupBookTest, WhoIsRemovedFindsNothingMoreAlthoughItKeepsWhatItKnew) {
  People(4);
  Found(4);
  Say(1, "with all");
  Round();
  ASSERT_EQ(At(3).texts, Texts{"with all"});
  ASSERT_OK(At(0).book->Remove(group_, At(3).key, now_));
  Talk({3});  // it does not hear that it was removed, and reads on
  Say(0, "without");
  Say(1, "you");
  for (int i = 0; i < 3; ++i) {
    Round({3});
    At(3).Read(boxes_, now_);
    At(3).Save(now_);
  }
  EXPECT_EQ(At(3).texts, Texts{"with all"});
  EXPECT_EQ(At(2).texts, (Texts{"with all", "without", "you"}));
  EXPECT_EQ(At(2).Count(GroupNotice::Kind::kLeft), 1u);
  ASSERT_OK(At(3).book->Send(group_, base::ToBytes(base::AsBytes("still here")), now_));
  At(3).Save(now_);
  At(3).Write(boxes_, now_);
  Round({3});
  EXPECT_EQ(At(2).texts.size(), 3u) << "nobody reads it";
  Round();
  EXPECT_EQ(At(3).Count(GroupNotice::Kind::kEnded), 1u);
  EXPECT_STATUS(At(3).book->Send(group_, {}, now_), kFailedPrecondition);
  ASSERT_OK(At(0).book->Add(group_, Others(3, 4), now_));
  Talk();
  ASSERT_OK(At(3).book->Accept(group_, now_));
  Say(2, "again");
  Round();
  EXPECT_EQ(At(3).texts, (Texts{"with all", "again"}));
}

TEST_F(GroupBookTest, WhatWasWrittenBeforeAFreshChainIsReadFirst) {
  People(3);
  Found(3);
  Say(1, "one");
  Say(1, "two");
  Talk();
  At(1).Write(boxes_, now_);
  ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
  Talk();
  Say(1, "three");
  Round();
  Round();
  EXPECT_EQ(At(0).texts, (Texts{"one", "two", "three"}));
}

TEST_F(GroupBookTest, AMemberGoesAndTheCreatorToo) {
  People(4);
  Found(4);
  ASSERT_OK(At(2).book->Leave(group_));
  Round();
  EXPECT_EQ(At(2).book->Find(group_), nullptr);
  EXPECT_EQ(At(0).book->Find(group_)->members.size(), 3u);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kLeft), 1u) << "told once, though the creator announces it as well";
  ASSERT_OK(At(0).book->Leave(group_));
  Round();
  Say(1, "we two");
  Say(3, "are left");
  Round();
  EXPECT_EQ(At(3).texts, Texts{"we two"});
  EXPECT_EQ(At(1).texts, Texts{"are left"});
  EXPECT_TRUE(At(0).texts.empty() && At(2).texts.empty());
  EXPECT_STATUS(At(1).book->Remove(group_, At(3).key, now_), kFailedPrecondition);
}

TEST_F(GroupBookTest, BehindAHoleItWaitsAndWhatTurnsUpLaterIsMarked) {
  People(2);
  Found(2);
  Boxes second;
  for (const char* text : {"one", "two", "three"}) {
    Say(0, text);
    Talk();
    At(0).Write(std::string_view(text) == "two" ? second : boxes_, now_);
  }
  ASSERT_EQ(second.size(), 1u);
  for (int i = 0; i < 20; ++i) Round({0});
  EXPECT_EQ(At(1).texts, Texts{"one"}) << "three waits for two";
  now_ += kHoldBack;
  Round({0});
  EXPECT_EQ(At(1).texts, (Texts{"one", "three"}));
  boxes_.insert(second.begin(), second.end());
  for (int i = 0; i < 3; ++i) Round({0});
  EXPECT_EQ(At(1).texts, (Texts{"one", "three", "two"}));
  EXPECT_EQ(At(1).late, 1);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kLost), 0u);
}

TEST_F(GroupBookTest, WhatNeverTurnsUpIsCounted) {
  People(2);
  Found(2);
  for (const char* text : {"one", "two"}) Say(0, text);
  Talk();
  Boxes nowhere;
  At(0).Write(nowhere, now_);
  Say(0, "three");
  Round();
  for (int i = 0; i < 20; ++i) Round({0});
  now_ += absl::Hours(17 * 24);
  boxes_.clear();
  Round();
  EXPECT_EQ(At(1).texts, Texts{"three"});
  ASSERT_EQ(At(1).Count(GroupNotice::Kind::kLost), 1u);
  EXPECT_EQ(At(1).notices.back().count, 2u);
}

TEST_F(GroupBookTest, WhoWasAwayUntilAllExpiredGoesOnWhereTheOthersAre) {
  People(3);
  Found(3);
  Say(0, "read by all");
  Round();
  for (int i = 0; i < 12; ++i) Say(0, absl::StrCat("missed ", i));
  Round({2});
  boxes_.clear();  // expired
  now_ += absl::Hours(20 * 24);
  Round();  // asks
  Round();
  Say(0, "are you back?");
  Say(2, "yes");
  Round();
  EXPECT_EQ(At(2).texts, (Texts{"read by all", "are you back?"}));
  EXPECT_EQ(At(0).texts, Texts{"yes"});
  const auto lost = std::find_if(At(2).notices.begin(), At(2).notices.end(),
                                 [](const auto& one) { return one.kind == GroupNotice::Kind::kLost; });
  ASSERT_NE(lost, At(2).notices.end());
  EXPECT_EQ(lost->count, 12u);
  EXPECT_EQ(lost->peer, At(0).key);
}

TEST_F(GroupBookTest, ARestoredMemberHasAFreshChainAndAsksForTheOthers) {
  People(3);
  Found(3);
  for (const size_t who : {0, 1, 2}) Say(who, "before");
  Round();
  const Group backup = *At(1).book->Find(group_);
  ASSERT_OK_AND_ASSIGN(const Group decoded, DecodeGroup(EncodeGroup(backup)));
  At(1).book = std::make_unique<GroupBook>(GroupBook::Options{"local", 1, At(1).key}, new_rng_);
  ASSERT_OK(At(1).book->Restore(decoded, now_));
  At(1).texts.clear();
  Round();
  Say(0, "after");
  Say(1, "with a fresh chain");
  Round();
  EXPECT_EQ(At(1).texts, Texts{"after"});
  EXPECT_EQ(At(0).texts.back(), "with a fresh chain");
  EXPECT_EQ(At(2).Count(GroupNotice::Kind::kRestarted), 1u);
  EXPECT_EQ(At(2).Count(GroupNotice::Kind::kLost), 0u);
}

TEST_F(GroupBookTest, ACreatorWithAnOldBackupLearnsThatItIsOne) {
  People(3);
  Found(2);
  const Group backup = *At(0).book->Find(group_);
  ASSERT_OK(At(0).book->Add(group_, Others(2, 3), now_));
  Round();
  At(0).book = std::make_unique<GroupBook>(GroupBook::Options{"local", 1, At(0).key}, new_rng_);
  ASSERT_OK(At(0).book->Restore(backup, now_));
  Round();
  EXPECT_GE(At(0).Count(GroupNotice::Kind::kStale), 1u);
  ASSERT_OK(At(0).book->Add(group_, Others(2, 3), now_));
  Round();
  EXPECT_EQ(At(1).book->Find(group_)->members.size(), 3u) << "its next change counts";
  EXPECT_EQ(At(1).book->Find(group_)->epoch, At(0).book->Find(group_)->epoch);
}

// The book's change is taken as soon as the fresh chain is told, and the process ends.
TEST_F(GroupBookTest, WhatWaitedBehindAGapIsOnDiskWhenAChainTakesItsPlace) {
  People(2);
  Found(2);
  const Group backup = *At(0).book->Find(group_);
  Boxes nowhere;
  for (const char* text : {"one", "two", "three"}) {
    Say(0, text);
    Talk();
    At(0).Write(std::string_view(text) == "two" ? nowhere : boxes_, now_);
  }
  Round({0});
  ASSERT_EQ(At(1).texts, Texts{"one"}) << "three waits for two";
  At(0).book = std::make_unique<GroupBook>(GroupBook::Options{"local", 1, At(0).key}, new_rng_);
  ASSERT_OK(At(0).book->Restore(backup, now_));
  for (const GroupBook::Told& told : At(0).Save(now_)) At(1).book->OnControl(At(0).key, told.bytes, now_);
  At(1).SaveAsItIs();
  At(1).Restart();
  Round();
  EXPECT_EQ(At(1).texts, (Texts{"one", "three"}));
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kRestarted), 1u);
}

// A creator whose backup is old goes on with the number that a member tells; who has not heard its list yet still hears it.
TEST_F(GroupBookTest, WhoWasToBeToldOfAChangeIsToldThoughAMemberKnowsALaterOne) {
  People(4);
  Found(3);
  ASSERT_OK(At(0).book->Add(group_, Others(3, 4), now_));
  support::SeededRng rng(5);
  const GroupChainTold ahead{group_, 9, false, GroupWriter(0, 30000000000, rng).Tell()};
  At(0).book->OnControl(At(1).key, EncodeGroupControl(ahead), now_);
  Talk();
  ASSERT_NE(At(3).book->Find(group_), nullptr);
  EXPECT_EQ(At(2).book->Find(group_)->members.size(), 4u);
}

// After every step everybody's process ends and begins again.
TEST_F(GroupBookTest, RestartsAtAnyTimeNeitherLoseNorRepeat) {
  People(3);
  Found(3);
  Texts expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(absl::StrCat("text ", i));
    Say(0, expected.back());
    if (i == 10) {
      ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
    }
    for (auto& told : At(0).Save(now_)) Queue(At(0).key, told);
    At(0).Restart();
    Talk();
    At(0).Write(boxes_, now_);
    if (i % 3 == 0) At(0).Restart();  // that it was put is not known: it is put once more
    At(1).Read(boxes_, now_);
    At(1).Save(now_);
    At(1).Restart();
  }
  EXPECT_EQ(At(1).texts, expected);
}

TEST_F(GroupBookTest, StatesAreTrueAndStoredIsTheLast) {
  People(2);
  Found(2);
  ASSERT_OK_AND_ASSIGN(const MessageId id, At(0).book->Send(group_, base::ToBytes(base::AsBytes("x")), now_));
  Talk();
  EXPECT_FALSE(At(0).states.contains(id));
  Round();
  EXPECT_EQ(At(0).states[id], DeliveryState::kStored);
  now_ += absl::Hours(16 * 24);
  Talk();
  EXPECT_EQ(At(0).states[id], DeliveryState::kStored);
  EXPECT_TRUE(At(0).book->FindOutbox(group_)->messages().empty());
  ASSERT_OK_AND_ASSIGN(const MessageId never, At(0).book->Send(group_, base::ToBytes(base::AsBytes("y")), now_));
  Talk();
  now_ += absl::Hours(16 * 24);
  Talk();
  EXPECT_EQ(At(0).states[never], DeliveryState::kExpired);
}

// Words of different members overtake each other: who is in again hears from one of them before it hears that it was out.
TEST_F(GroupBookTest, AChainThatOvertakesTheFarewellIsKnownAfterIt) {
  People(3);
  Found(3);
  ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
  Talk({2});
  ASSERT_OK(At(0).book->Add(group_, Others(2, 3), now_));
  Talk({2});
  auto& post = post_[At(2).key];
  std::stable_partition(post.begin(), post.end(), [&](const auto& one) { return one.first == At(1).key; });
  ASSERT_EQ(post.front().first, At(1).key);
  Talk();
  ASSERT_EQ(At(2).Count(GroupNotice::Kind::kEnded), 1u);
  ASSERT_OK(At(2).book->Accept(group_, now_));
  Say(1, "welcome back");
  Round();
  EXPECT_EQ(At(2).texts, Texts{"welcome back"});
}

// A session that was made anew says once more what was not acknowledged in the one before.
TEST_F(GroupBookTest, AChainOfBeforeThatIsToldAgainIsNotReadAgain) {
  People(3);
  Found(3);
  At(0).book->OnControlExpired(At(1).key);
  const auto told = At(0).Save(now_);
  for (const GroupBook::Told& one : told) Queue(At(0).key, one);
  Say(0, "one");
  Say(0, "two");
  Round();
  ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
  Say(0, "three");
  Round();
  Round();
  const Texts all = {"one", "two", "three"};
  ASSERT_EQ(At(1).texts, all);
  At(1).Restart();
  ASSERT_EQ(told.size(), 2u) << "an announcement and a chain";
  for (const GroupBook::Told& one : told) At(1).book->OnControl(At(0).key, one.bytes, now_);
  for (int i = 0; i < 3; ++i) Round();
  EXPECT_EQ(At(1).texts, all);
}

TEST_F(GroupBookTest, WhatWasToBeToldToSomebodyWhoWentIsWithdrawn) {
  People(3);
  Found(3);
  At(0).book->OnControlExpired(At(2).key);
  At(0).book->Advance(now_);
  ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
  const auto parted = At(0).book->TakeParted();
  ASSERT_EQ(parted.size(), 1u);
  EXPECT_EQ(parted[0], std::pair(At(2).key, group_));
  for (const GroupBook::Told& one : At(0).book->TakeControls()) {
    EXPECT_EQ(TellsOf(one.bytes, group_), one.to != At(2).key) << "it is told that it is out, and nothing else";
  }
}

// No node takes what was sealed by a clock 17 days ahead; it is sealed anew, and the readers have nothing to wait for.
TEST_F(GroupBookTest, WhatWasSealedForNoNodeIsSealedAnewInAFreshChain) {
  People(2);
  Found(2);
  Say(0, "before");
  Round();
  Texts expected = {"before"};
  now_ += absl::Hours(17 * 24);
  for (int i = 0; i < 12; ++i) {  // more than readers look ahead
    expected.push_back(absl::StrCat("text ", i));
    Say(0, expected.back());
  }
  for (const GroupBook::Told& told : At(0).Save(now_)) Queue(At(0).key, told);
  At(0).Restart();
  now_ -= absl::Hours(17 * 24);
  Say(0, "now");
  expected.push_back("now");
  Round();
  EXPECT_EQ(At(1).texts, expected);
  now_ += kOldChainLife;
  Round();
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kLost), 0u);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kRestarted), 0u);
}

TEST_F(GroupBookTest, ADamagedFeedBeginsEmptyAndItsWriterIsAsked) {
  People(3);
  Found(3);
  Say(0, "before");
  Round();
  At(1).DamageFeeds();
  At(1).Restart();
  EXPECT_TRUE(At(1).book->Chains(group_, now_).empty());
  now_ += kGroupAskAgain;
  Round();
  Say(0, "after");
  Round();
  EXPECT_EQ(At(1).texts, (Texts{"before", "after"}));
}

// Books and backups of before lists said it.
TEST_F(GroupBookTest, AGroupWithoutTheEpochsOfItsMembersIsRead) {
  People(3);
  Found(2);
  ASSERT_OK(At(0).book->Add(group_, Others(2, 3), now_));
  const Group group = *At(0).book->Find(group_);
  base::Bytes bytes = EncodeGroup(group);
  ASSERT_OK_AND_ASSIGN(const Group now, DecodeGroup(bytes));
  EXPECT_EQ(now.members, group.members);
  EXPECT_EQ(now.members[1].since, 1u);
  EXPECT_EQ(now.members[2].since, 2u);
  bytes.resize(bytes.size() - 3 * 4);
  ASSERT_OK_AND_ASSIGN(const Group before, DecodeGroup(bytes));
  ASSERT_EQ(before.members.size(), 3u);
  EXPECT_EQ(before.members[2].name, group.members[2].name);
  EXPECT_EQ(before.members[2].since, 0u);
}

// The words in which a chain is told overtake each other: none of its texts is lost, or shown twice.
class ToldTwiceTest : public GroupBookTest, public testing::WithParamInterface<bool> {};

TEST_P(ToldTwiceTest, AnEarlierTellingThatComesLaterAddsWhatLiesBefore) {
  const bool chain_is_over = GetParam();
  People(3);
  Found(3);
  const auto telling = [&] {
    At(0).book->OnControlExpired(At(1).key);
    auto told = At(0).Save(now_);
    return told.back();  // an announcement, and the chain
  };
  const GroupBook::Told first = telling();
  Say(0, "one");
  Say(0, "two");
  ASSERT_TRUE(At(0).Save(now_).empty());
  const GroupBook::Told second = telling();
  At(1).DamageFeeds();
  At(1).Restart();
  At(1).book->OnControl(At(0).key, second.bytes, now_);
  Say(0, "three");
  Round();
  ASSERT_EQ(At(1).texts, Texts{"three"});
  if (chain_is_over) {
    ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
    Round();
    Round();
  }
  for (int i = 0; i < 2; ++i) {
    At(1).book->OnControl(At(0).key, first.bytes, now_);
    for (int round = 0; round < 4; ++round) Round();
    At(1).Restart();
  }
  EXPECT_EQ(At(1).texts, (Texts{"three", "one", "two"}));
  EXPECT_EQ(At(1).late, 2);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kLost), 0u);
}

INSTANTIATE_TEST_SUITE_P(ChainIsOver, ToldTwiceTest, testing::Bool());

// One list takes somebody out, the next one puts somebody in, and both are read while a text waits to be sealed.
TEST_F(GroupBookTest, WhatWaitsWhileTwoListsComeIsForThoseWhoStay) {
  People(4);
  Found(3);
  std::vector<GroupBook::Told> lists;
  const auto keep_lists = [&] {
    for (GroupBook::Told& told : At(0).Save(now_)) {
      if (told.to == At(1).key) lists.push_back(told);
      Queue(At(0).key, told);
    }
    post_[At(1).key].clear();
  };
  ASSERT_OK(At(0).book->Remove(group_, At(2).key, now_));
  keep_lists();
  ASSERT_OK(At(0).book->Add(group_, Others(3, 4), now_));
  keep_lists();
  Say(1, "waits");
  for (const GroupBook::Told& told : lists) At(1).book->OnControl(At(0).key, told.bytes, now_);
  Round();
  ASSERT_OK(At(3).book->Accept(group_, now_));
  Round();
  Round();
  EXPECT_EQ(At(0).texts, Texts{"waits"});
  EXPECT_TRUE(At(3).texts.empty());
}

}  // namespace
}  // namespace chat
