// SPDX-License-Identifier: Apache-2.0
// Members whose lists differ: farewells that expire unread or cross an invitation, lists out of backups, invitations that found
// no room, clocks that were wrong. Nobody stays in a group in which nobody else sees it.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "chat/contact_entries.h"
#include "chat/group_book.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using Texts = std::vector<std::string>;
using Kind = GroupNotice::Kind;
using State = Group::State;

constexpr size_t kAlice = 0, kBob = 1, kCarol = 2, kDave = 3;  // alice makes the groups

class Someone {
 public:
  explicit Someone(uint64_t seed) : rng_(seed), key(keys::SigningKey::Generate(rng_).public_key()) { Restart(); }

  // Only what was saved is known.
  void Restart() {
    book = std::make_unique<GroupBook>(GroupBook::Options{"local", 1, key}, rng_);
    for (const bool first : {true, false}) {
      for (const auto& [name, entry] : disk_) {
        if ((entry.type == kGroupEntry) == first) EXPECT_OK(book->Load(entry));
      }
    }
  }
  // All is lost but what a backup had.
  void RestoreFrom(const std::vector<Group>& backup, absl::Time now) {
    disk_.clear();
    Restart();
    for (const Group& group : backup) EXPECT_OK(book->Restore(group, now));
  }
  std::vector<GroupBook::Told> Save(absl::Time now) {
    book->Advance(now);
    auto told = book->TakeControls();
    GroupBook::Change change = book->TakeChange();
    for (BookEntry& entry : change.entries) {
      const auto name = std::pair(entry.type, entry.name);
      disk_.erase(name);
      if (entry.value) disk_.emplace(name, std::move(entry));
    }
    for (const Message& message : change.arrived) texts.push_back(base::ToString(message.text));
    notices.insert(notices.end(), change.notices.begin(), change.notices.end());
    return told;
  }
  size_t Count(Kind kind) const {
    size_t count = 0;
    for (const GroupNotice& one : notices) count += one.kind == kind ? one.count : 0;
    return count;
  }

 private:
  support::SeededRng rng_;
  std::map<std::pair<uint8_t, base::Bytes>, BookEntry> disk_;

 public:
  const keys::PublicKey key;
  std::unique_ptr<GroupBook> book;
  absl::Duration clock_error;
  Texts texts;
  std::vector<GroupNotice> notices;
};

class GroupHealingTest : public testing::Test {
 protected:
  void People(size_t count) {
    for (size_t i = 0; i < count; ++i) people_.push_back(std::make_unique<Someone>(i + 1));
  }
  Someone& At(size_t i) { return *people_[i]; }
  absl::Time NowOf(size_t i) { return now_ + At(i).clock_error; }
  std::vector<GroupMember> These(const std::set<size_t>& who) {
    std::vector<GroupMember> members;
    for (const size_t i : who) members.push_back({At(i).key, absl::StrCat("p", i)});
    return members;
  }
  // One saves, and what it tells is on its way.
  void Tells(size_t i) {
    for (GroupBook::Told& told : At(i).Save(NowOf(i))) post_[told.to].emplace_back(At(i).key, std::move(told.bytes));
  }
  // One reads what was told to it. True if it was anything.
  bool Hears(size_t i) {
    const auto all = std::exchange(post_[At(i).key], {});
    for (const auto& [from, bytes] : all) At(i).book->OnControl(from, bytes, NowOf(i));
    return !all.empty();
  }
  // What was told to it expires, and nobody is told so.
  void Loses(size_t i) { post_.erase(At(i).key); }
  // Everybody, but who is away, tells and hears, until nobody has anything to say.
  void Talk(const std::set<size_t>& away = {}) {
    int rounds = 0;
    for (bool any = true; any; ++rounds) {
      ASSERT_LT(rounds, 20) << "answers are not answered without end";
      any = false;
      for (size_t i = 0; i < people_.size(); ++i) {
        if (!away.contains(i)) Tells(i);
      }
      for (size_t i = 0; i < people_.size(); ++i) any = (!away.contains(i) && Hears(i)) || any;
    }
  }
  // All write and read, and begin again from their disks.
  void Round(const std::set<size_t>& away = {}) {
    Talk(away);
    for (size_t i = 0; i < people_.size(); ++i) {
      if (away.contains(i)) continue;
      for (const GroupBook::Put& put : At(i).book->Puts(NowOf(i), 1000)) {
        boxes_.emplace(put.record.name.point, put.record.body);
        At(i).book->OnPut(put.group, put.seq, 3, NowOf(i));
      }
    }
    for (size_t i = 0; i < people_.size(); ++i) {
      if (!away.contains(i)) Read(i);
    }
    Talk(away);
    for (size_t i = 0; i < people_.size(); ++i) At(i).Restart();
    now_ += absl::Minutes(1);
  }
  void Read(size_t i) {
    auto reads = At(i).book->BeginRound({}, NowOf(i));
    while (!reads.empty()) {
      std::vector<GroupBook::Read> more;
      for (const GroupBook::Read& read : reads) {
        const auto box = boxes_.find(read.probe.point);
        for (auto& one : At(i).book->OnRead(read, box == boxes_.end() ? std::nullopt : std::optional(box->second), NowOf(i)))
          more.push_back(std::move(one));
      }
      reads = std::move(more);
    }
  }
  // A group of alice and these, who have accepted.
  void Found(const std::set<size_t>& others) {
    ASSERT_OK_AND_ASSIGN(group_, At(kAlice).book->Create("friends", These(others), "alice", now_));
    Talk();
    for (const size_t i : others) ASSERT_OK(At(i).book->Accept(group_, now_));
    Round();
  }
  void Say(size_t who, const std::string& text) {
    ASSERT_OK(At(who).book->Send(group_, base::ToBytes(base::AsBytes(text)), NowOf(who)));
  }
  bool Is(size_t who, State state) {
    const Group* group = At(who).book->Find(group_);
    return group != nullptr && group->state == state;
  }
  bool Lists(size_t who, size_t member) {
    const Group* group = At(who).book->Find(group_);
    return group != nullptr && group->Find(At(member).key) != nullptr;
  }
  // Who takes part is in everybody's list, and reads and is read; nobody else is in any.
  void ExpectOneView(const std::set<size_t>& members) {
    for (size_t i = 0; i < people_.size(); ++i) {
      EXPECT_EQ(Is(i, State::kMember), members.contains(i)) << i;
      for (const size_t other : members) EXPECT_EQ(Lists(other, i), members.contains(i)) << other << " of " << i;
      At(i).texts.clear();
    }
    for (const size_t i : members) Say(i, absl::StrCat("I am ", i));
    Round();
    Round();
    for (const size_t i : members) EXPECT_EQ(At(i).texts.size(), members.size() - 1) << i;
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  std::vector<std::unique_ptr<Someone>> people_;
  std::map<keys::PublicKey, std::vector<std::pair<keys::PublicKey, base::Bytes>>> post_;
  std::map<overlay::NodeId, base::Bytes> boxes_;
  GroupId group_;
};

// ---- farewells and lists that cross

TEST_F(GroupHealingTest, AnInvitationThatCrossedAFarewellIsTakenBack) {
  People(4);
  Found({kBob, kCarol});
  ASSERT_OK(At(kBob).book->Leave(group_));
  Tells(kBob);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kDave}), now_));  // she has not read it
  Tells(kAlice);
  Hears(kBob);
  ASSERT_TRUE(Is(kBob, State::kInvited));
  Round();
  EXPECT_EQ(At(kBob).book->Find(group_), nullptr);
  ASSERT_OK(At(kDave).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kCarol, kDave});
}

TEST_F(GroupHealingTest, WhoAcceptedAnInvitationThatCrossedItsFarewellLearnsThatItIsNotIn) {
  People(4);
  Found({kBob, kCarol});
  ASSERT_OK(At(kBob).book->Leave(group_));
  Tells(kBob);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kDave}), now_));
  Tells(kAlice);
  Hears(kBob);
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  EXPECT_TRUE(Is(kBob, State::kEnded));
  EXPECT_EQ(At(kBob).Count(Kind::kEnded), 1u);
  EXPECT_STATUS(At(kBob).book->Send(group_, {}, now_), kFailedPrecondition) << "nothing is written that nobody reads";
  ASSERT_OK(At(kDave).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kCarol, kDave});
  ASSERT_OK(At(kAlice).book->Add(group_, These({kBob}), now_));
  Round();
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kBob, kCarol, kDave});
}

TEST_F(GroupHealingTest, WhoIsAddedAgainAfterItWentIsInvited) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kBob).book->Leave(group_));
  Round();
  EXPECT_EQ(At(kBob).book->Find(group_), nullptr);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kBob}), now_));
  Round();
  ASSERT_TRUE(Is(kBob, State::kInvited));
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

// ---- memberships that are over

// Bob, who is out, is still told a chain, and says so; that is read when he is in again.
TEST_F(GroupHealingTest, AFarewellOfAMembershipThatIsOverTakesNobodyOut) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kBob).key, now_));
  Tells(kAlice);
  Hears(kBob);
  At(kCarol).book->OnControlExpired(At(kBob).key);
  Tells(kCarol);
  Hears(kBob);
  const auto said = At(kBob).Save(now_);
  ASSERT_EQ(said.size(), 1u);
  const auto farewell = DecodeGroupControl(said[0].bytes);
  ASSERT_OK(farewell);
  ASSERT_TRUE(std::holds_alternative<GroupFarewell>(*farewell));
  Round();
  ASSERT_OK(At(kAlice).book->Add(group_, These({kBob}), now_));
  Round();
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  At(kCarol).book->OnControl(At(kBob).key, said[0].bytes, now_);
  EXPECT_TRUE(Lists(kCarol, kBob));
  ExpectOneView({kAlice, kBob, kCarol});
}

TEST_F(GroupHealingTest, AChainOfAMembershipThatIsOverIsNotReadAgain) {
  People(3);
  Found({kBob, kCarol});
  At(kCarol).book->OnControlExpired(At(kBob).key);
  const auto told = At(kCarol).Save(now_);
  ASSERT_EQ(told.size(), 1u);
  Say(kCarol, "one");
  Round();
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kCarol).key, now_));
  Round();
  At(kBob).book->OnControl(At(kCarol).key, told[0].bytes, now_);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kCarol}), now_));
  Round();
  At(kBob).book->OnControl(At(kCarol).key, told[0].bytes, now_);
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  Round();
  Round();
  EXPECT_EQ(At(kBob).texts, Texts{"one"});
  ExpectOneView({kAlice, kBob, kCarol});
}

// The list that puts him in again is read before the farewell that took him out.
TEST_F(GroupHealingTest, WhoIsPutInAgainBeforeItHearsThatItWasOutIsInvitedAnew) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kBob).key, now_));
  Tells(kAlice);
  const auto farewell = std::exchange(post_[At(kBob).key], {});
  ASSERT_EQ(farewell.size(), 1u);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kBob}), now_));
  Round();
  ASSERT_TRUE(Is(kBob, State::kInvited));
  EXPECT_EQ(At(kBob).Count(Kind::kEnded), 1u);
  At(kBob).book->OnControl(At(kAlice).key, farewell[0].second, now_);
  ASSERT_TRUE(Is(kBob, State::kInvited)) << "it takes nothing back";
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  At(kBob).book->OnControl(At(kAlice).key, farewell[0].second, now_);
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

// Who missed the list without carol, and reads the one that has her again, takes her for who she is now.
TEST_F(GroupHealingTest, WhoMissedThatSomebodyWasOutKnowsItFromTheNextList) {
  People(3);
  Found({kBob, kCarol});
  Say(kCarol, "one");
  Round();
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kCarol).key, now_));
  Round({kBob});
  const auto is_list = [](const auto& one) {
    return std::holds_alternative<GroupAnnouncement>(DecodeGroupControl(one.second).value());
  };
  ASSERT_EQ(std::erase_if(post_[At(kBob).key], is_list), 1u);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kCarol}), now_));
  Round({kBob});
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  Round({kBob});
  Round();
  EXPECT_EQ(At(kBob).Count(Kind::kLeft), 1u);
  EXPECT_EQ(At(kBob).Count(Kind::kRestarted), 0u);
  EXPECT_EQ(At(kBob).texts, Texts{"one"});
  ExpectOneView({kAlice, kBob, kCarol});
}

TEST_F(GroupHealingTest, AReaderWhoseClockWasAheadAsksAWeekAfterItWasSetBack) {
  People(2);
  At(kBob).clock_error = absl::Hours(90 * 24);
  Found({kBob});
  Say(kAlice, "one");
  Round();
  ASSERT_EQ(At(kBob).texts, Texts{"one"});
  At(kBob).clock_error = absl::ZeroDuration();
  Round();
  now_ += kGroupSilence;
  Tells(kBob);
  ASSERT_EQ(post_[At(kAlice).key].size(), 1u);
  const auto told = DecodeGroupControl(post_[At(kAlice).key][0].second);
  ASSERT_OK(told);
  EXPECT_TRUE(std::get<GroupChainTold>(*told).wants);
}

// ---- what expired unread

TEST_F(GroupHealingTest, WhoMissedThatItWasRemovedLearnsItWhenItIsBack) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kBob).key, now_));
  Round({kBob});
  Loses(kBob);
  now_ += absl::Hours(20 * 24);
  ASSERT_TRUE(Is(kBob, State::kMember));
  Round();
  EXPECT_TRUE(Is(kBob, State::kEnded));
  EXPECT_EQ(At(kBob).Count(Kind::kEnded), 1u);
  ExpectOneView({kAlice, kCarol});
}

// By the creator, and by who knows it only from the list.
TEST_F(GroupHealingTest, WhoWentIsForgottenThoughItsFarewellExpired) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kBob).book->Leave(group_));
  Tells(kBob);
  At(kBob).Restart();
  Loses(kAlice);
  Loses(kCarol);
  ASSERT_TRUE(Lists(kAlice, kBob) && Lists(kCarol, kBob));
  now_ += kGroupSilence;
  Round();
  EXPECT_EQ(At(kBob).book->Find(group_), nullptr) << "nor is it invited again";
  EXPECT_EQ(At(kBob).Count(Kind::kInvited), 1u);
  EXPECT_EQ(At(kAlice).Count(Kind::kLeft), 1u);
  ExpectOneView({kAlice, kCarol});
}

TEST_F(GroupHealingTest, ACreatorWhoWentIsForgottenThoughItsFarewellExpired) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kAlice).book->Leave(group_));
  Tells(kAlice);
  Loses(kBob);
  Loses(kCarol);
  now_ += kGroupSilence;
  Round();
  EXPECT_EQ(At(kBob).Count(Kind::kLeft), 1u);
  ExpectOneView({kBob, kCarol});
}

TEST_F(GroupHealingTest, WhoDeclinedIsForgottenThoughItsFarewellExpired) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(kAlice).book->Create("friends", These({kBob, kCarol}), "alice", now_));
  Talk();
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  ASSERT_OK(At(kBob).book->Leave(group_));
  Tells(kBob);
  Loses(kAlice);
  Round();
  now_ += kGroupAskAgain;
  Round();
  EXPECT_EQ(At(kBob).Count(Kind::kInvited), 1u) << "the list that comes again is the one it declined";
  ExpectOneView({kAlice, kCarol});
}

TEST_F(GroupHealingTest, AnInvitationThatExpiredComesAgain) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(kAlice).book->Create("friends", These({kBob, kCarol}), "alice", now_));
  Tells(kAlice);
  Loses(kBob);
  Talk();
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  Round();
  EXPECT_EQ(At(kBob).book->Find(group_), nullptr);
  At(kAlice).book->OnControlExpired(At(kBob).key);
  Round();
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

// ---- backups

TEST_F(GroupHealingTest, ACreatorWhoseOldListDoesNotNameAMemberYetDoesNotSendItAway) {
  People(3);
  Found({kBob});
  const Group backup = *At(kAlice).book->Find(group_);
  ASSERT_OK(At(kAlice).book->Add(group_, These({kCarol}), now_));
  Round();
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  Round();
  At(kAlice).RestoreFrom({backup}, now_);
  At(kAlice).Save(now_);
  At(kCarol).book->OnControlExpired(At(kAlice).key);  // carol's chain is told before bob's
  Tells(kCarol);
  Hears(kAlice);
  Round();
  EXPECT_GE(At(kAlice).Count(Kind::kStale), 1u);
  EXPECT_TRUE(Is(kCarol, State::kMember));
  ASSERT_OK(At(kAlice).book->Add(group_, These({kCarol}), now_));
  Round();
  now_ += kGroupAskAgain;
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

TEST_F(GroupHealingTest, WhoIsOnlyInAnOldListOfItsCreatorSaysThatItWent) {
  for (const bool was_removed : {false, true}) {
    people_.clear(), post_.clear(), boxes_.clear();
    People(3);
    Found({kBob, kCarol});
    const Group backup = *At(kAlice).book->Find(group_);
    if (was_removed) {
      ASSERT_OK(At(kAlice).book->Remove(group_, At(kBob).key, now_));
    } else {
      ASSERT_OK(At(kBob).book->Leave(group_));
    }
    Round();
    At(kAlice).RestoreFrom({backup}, now_);
    ASSERT_TRUE(Lists(kAlice, kBob));
    Round();
    EXPECT_EQ(At(kBob).Count(Kind::kInvited), 1u);
    ASSERT_OK(At(kAlice).book->Remove(group_, At(kCarol).key, now_));  // her next change counts
    ASSERT_OK(At(kAlice).book->Add(group_, These({kCarol}), now_));
    Round();
    ASSERT_OK(At(kCarol).book->Accept(group_, now_));
    Round();
    ExpectOneView({kAlice, kCarol});
  }
}

TEST_F(GroupHealingTest, AMemberWhoseBackupIsFromBeforeTheGroupIsInvitedAnew) {
  People(3);
  Found({kBob, kCarol});
  At(kBob).RestoreFrom({}, now_);
  now_ += kGroupSilence;
  Round();
  ASSERT_TRUE(Is(kBob, State::kInvited));
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

TEST_F(GroupHealingTest, WhoIsRestoredIntoAGroupThatItLeftLearnsSo) {
  People(3);
  Found({kBob, kCarol});
  const Group backup = *At(kBob).book->Find(group_);
  ASSERT_OK(At(kBob).book->Leave(group_));
  Round();
  At(kBob).RestoreFrom({backup}, now_);
  Round();
  EXPECT_TRUE(Is(kBob, State::kEnded));
  ExpectOneView({kAlice, kCarol});
}

// ---- put in again

// Carol never hears the list in between, and nobody has written: she believes that bob has her chain.
TEST_F(GroupHealingTest, WhoIsPutInAgainHasEverybodysChainAtOnce) {
  People(3);
  Found({kBob, kCarol});
  ASSERT_OK(At(kAlice).book->Remove(group_, At(kBob).key, now_));
  ASSERT_OK(At(kAlice).book->Add(group_, These({kBob}), now_));
  Round();
  ASSERT_TRUE(Is(kBob, State::kInvited));
  EXPECT_EQ(At(kCarol).Count(Kind::kLeft), 1u) << "the list that has him again says so";
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

// ---- invitations that wait

TEST_F(GroupHealingTest, OneCreatorTakesThreePlacesAndWhatFoundNoRoomComesAgain) {
  People(4);
  for (size_t i = 0; i < 2 * kInvitationsMax; ++i) {
    ASSERT_OK(At(kBob).book->Create(absl::StrCat("group ", i), These({kAlice}), "bob", now_));
  }
  Round();
  EXPECT_EQ(At(kAlice).book->All().size(), kInvitationsOfOneMax);
  EXPECT_EQ(At(kAlice).Count(Kind::kUnheard), 2 * kInvitationsMax - kInvitationsOfOneMax);
  EXPECT_EQ(At(kAlice).notices.size(), kInvitationsOfOneMax + 1) << "one notice of all";
  ASSERT_OK_AND_ASSIGN(group_, At(kCarol).book->Create("family", These({kAlice}), "carol", now_));
  Round();
  EXPECT_TRUE(Is(kAlice, State::kInvited));
  std::set<GroupId> declined;
  for (const Group* group : At(kAlice).book->All()) {
    if (group->creator == At(kBob).key) declined.insert(group->id);
  }
  for (const GroupId& id : declined) ASSERT_OK(At(kAlice).book->Leave(id));
  Round();
  now_ += kGroupAskAgain;
  Round();
  EXPECT_EQ(At(kAlice).book->All().size(), kInvitationsOfOneMax + 1) << "of those that found no room";
  for (const GroupId& id : declined) EXPECT_EQ(At(kAlice).book->Find(id), nullptr);
}

// Groups that she was in, and is invited to again, take no more places.
TEST_F(GroupHealingTest, AGroupThatEndedWaitsForRoomToo) {
  People(2);
  std::vector<GroupId> groups;
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_OK_AND_ASSIGN(group_, At(kBob).book->Create(absl::StrCat("group ", i), These({kAlice}), "bob", now_));
    groups.push_back(group_);
    Round();
    ASSERT_OK(At(kAlice).book->Accept(group_, now_));
    Round();
  }
  const auto invited = [&] {
    return std::count_if(groups.begin(), groups.end(),
                         [&](const GroupId& id) { return At(kAlice).book->Find(id)->state == State::kInvited; });
  };
  for (const GroupId& id : groups) {
    ASSERT_OK(At(kBob).book->Remove(id, At(kAlice).key, now_));
    ASSERT_OK(At(kBob).book->Add(id, These({kAlice}), now_));
  }
  Round();
  EXPECT_EQ(invited(), static_cast<int64_t>(kInvitationsOfOneMax));
  for (const GroupId& id : groups) At(kAlice).book->Accept(id, now_).IgnoreError();
  Round();
  now_ += kGroupAskAgain;
  Round();
  EXPECT_EQ(invited(), 2);
}

TEST_F(GroupHealingTest, AFloodOfEarlyChainsPushesOutNobodyElses) {
  People(4);
  ASSERT_OK_AND_ASSIGN(group_, At(kAlice).book->Create("friends", These({kBob, kCarol}), "alice", now_));
  Tells(kAlice);
  Hears(kCarol);
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  Tells(kCarol);
  const auto announcement = std::exchange(post_[At(kBob).key], {});
  for (const auto& [from, bytes] : announcement) {
    if (from == At(kCarol).key) At(kBob).book->OnControl(from, bytes, now_);
  }
  support::SeededRng rng(5);
  for (uint64_t i = 0; i < 10 * kEarlyMax; ++i) {
    const GroupChainTold told{GroupIdOf(At(kDave).key, {static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8)}), 1, false,
                              GroupWriter(0, 1, rng).Tell()};
    At(kBob).book->OnControl(At(kDave).key, EncodeGroupControl(told), now_);
  }
  At(kBob).Save(now_);
  At(kBob).Restart();
  for (const auto& [from, bytes] : announcement) {
    if (from == At(kAlice).key) At(kBob).book->OnControl(from, bytes, now_);
  }
  ASSERT_OK(At(kBob).book->Accept(group_, now_));
  EXPECT_EQ(At(kBob).book->Chains(group_, now_).size(), 2u) << "alice's and carol's";
}

// ---- clocks

TEST_F(GroupHealingTest, AChainMadeByAClockThatWasAheadKeepsNoLaterOneOut) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(kAlice).book->Create("friends", These({kBob, kCarol}), "alice", now_));
  Talk();
  At(kBob).clock_error = absl::Hours(10 * 24);
  ASSERT_OK(At(kBob).book->Accept(group_, NowOf(kBob)));
  ASSERT_OK(At(kCarol).book->Accept(group_, now_));
  At(kBob).clock_error = absl::ZeroDuration();
  Round();
  const Group backup = *At(kBob).book->Find(group_);
  now_ += absl::Hours(1);
  At(kBob).RestoreFrom({backup}, now_);
  Round();
  ExpectOneView({kAlice, kBob, kCarol});
}

}  // namespace
}  // namespace chat
