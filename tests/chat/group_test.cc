// SPDX-License-Identifier: Apache-2.0
// Groups over pairwise sessions and a store that loses things: people who do not all know each other, crashes, restores.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "chat/contact_book.h"
#include "tests/chat/book_world.h"

namespace chat {
namespace {

using support::LossyOptions;
using support::LossyStore;
using support::Person;
using Texts = std::vector<std::string>;

class GroupTest : public testing::Test {
 protected:
  explicit GroupTest(LossyOptions options = {}) : store_(options, 1) {}

  void People(size_t count) {
    for (size_t i = 0; i < count; ++i) people_.push_back(std::make_unique<Person>(store_, 100 + i));
  }
  Person& At(size_t i) { return *people_[i]; }
  // Everybody reads and writes; whose disk is cut off begins again.
  void Run(int rounds = 1, absl::Duration step = absl::Minutes(10), bool with_door = true) {
    for (int i = 0; i < rounds; ++i) {
      for (auto& person : people_) {
        if (!person->Run(now_, with_door).ok()) person->Restart(now_);
      }
      now_ += step;
      store_.Pass(step, now_);
    }
  }
  // The first one knows all the others, and they it; nobody else knows anybody.
  void Befriend() {
    Run();  // bundles
    for (size_t i = 1; i < people_.size(); ++i) {
      ASSERT_OK(At(0).book().Add(absl::StrCat("p", i), At(i).address()));
      ASSERT_OK(At(i).book().Add("p0", At(0).address()));
    }
  }
  std::vector<keys::PublicKey> Addresses(size_t from, size_t to) {
    std::vector<keys::PublicKey> all;
    for (size_t i = from; i < to; ++i) all.push_back(At(i).address());
    return all;
  }
  void Found(size_t count, int rounds) {
    Befriend();
    ASSERT_OK_AND_ASSIGN(group_, At(0).book().CreateGroup("friends", Addresses(1, count), "me", now_));
    for (int i = 0; i < rounds && !Complete(count); ++i) {
      Run();
      for (size_t who = 1; who < count; ++who) Accept(who);
    }
    for (size_t i = 1; i < count; ++i) {
      const Group* group = At(i).book().groups().Find(group_);
      ASSERT_NE(group, nullptr) << i;
      ASSERT_EQ(group->state, Group::State::kMember) << i;
      ASSERT_EQ(At(i).book().groups().Chains(group_, now_).size(), count - 1) << i;
    }
  }
  // Everybody knows everybody's chain.
  bool Complete(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (At(i).book().groups().Chains(group_, now_).size() < count - 1) return false;
    }
    return true;
  }
  void Accept(size_t who) {
    const Group* group = At(who).book().groups().Find(group_);
    if (group == nullptr || group->state != Group::State::kInvited) return;
    EXPECT_OK(At(who).book().AcceptGroup(group_, now_));
  }
  // What somebody was shown of another in the group.
  Texts From(size_t reader, size_t writer) {
    Texts texts;
    for (const Person::Shown& one : At(reader).shown) {
      if (one.group == group_ && one.from == At(writer).address()) texts.push_back(one.text);
    }
    return texts;
  }
  bool Noticed(size_t who, BookNotice::Kind kind) {
    const auto& notices = At(who).notices;
    return std::any_of(notices.begin(), notices.end(), [&](const auto& one) { return one.kind == kind; });
  }
  size_t Requests(size_t who) {
    const auto& all = At(who).book().conversations();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const auto& one) { return one.second.asks(); }));
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  LossyStore store_;
  std::vector<std::unique_ptr<Person>> people_;
  GroupId group_;
};

TEST_F(GroupTest, PeopleWhoDoNotKnowEachOtherTalk) {
  People(4);
  Found(3, 8);
  EXPECT_TRUE(Noticed(1, BookNotice::Kind::kGroupInvited));
  for (size_t who = 0; who < 3; ++who) ASSERT_OK(At(who).SendToGroup(group_, absl::StrCat("I am ", who), now_));
  Run(2);
  for (size_t reader = 0; reader < 3; ++reader) {
    for (size_t writer = 0; writer < 3; ++writer) {
      EXPECT_EQ(From(reader, writer), reader == writer ? Texts{} : Texts{absl::StrCat("I am ", writer)});
    }
    EXPECT_EQ(Requests(reader), 0u) << "a member is no request";
  }
  EXPECT_EQ(At(1).book().FindName("p2"), nullptr) << "nor a contact";
  ASSERT_OK(At(0).book().AddToGroup(group_, Addresses(3, 4), now_));
  Run(2);
  Accept(3);
  Run(3);
  ASSERT_OK(At(1).SendToGroup(group_, "welcome", now_));
  Run(2);
  EXPECT_EQ(From(3, 1), Texts{"welcome"});
  EXPECT_TRUE(From(3, 0).empty()) << "what was written before";
  ASSERT_OK(At(0).book().RemoveFromGroup(group_, At(2).address(), now_));
  Run(3);
  EXPECT_TRUE(Noticed(2, BookNotice::Kind::kGroupEnded));
  EXPECT_TRUE(Noticed(1, BookNotice::Kind::kGroupLeft));
  ASSERT_OK(At(1).SendToGroup(group_, "without you", now_));
  Run(2);
  EXPECT_EQ(From(3, 1).back(), "without you");
  EXPECT_EQ(From(2, 1).back(), "welcome");
  EXPECT_FALSE(At(1).book().contacts().contains(At(2).address())) << "nothing is left of one who shares no group";
}

// Or a member could send, in a conversation, something of the same id: whatever comes second is passed over (inbox.h).
TEST_F(GroupTest, WhatATextStandsUnderOnADiskNobodyElseKnows) {
  People(3);
  Found(3, 8);
  ASSERT_OK_AND_ASSIGN(const MessageId written, At(0).SendToGroup(group_, "to all", now_));
  Run(2);
  ASSERT_EQ(At(1).shown.size(), 1u);
  ASSERT_EQ(At(2).shown.size(), 1u);
  EXPECT_NE(At(1).shown[0].id, written);
  EXPECT_NE(At(1).shown[0].id, At(2).shown[0].id);
}

TEST_F(GroupTest, WhatAMemberWritesToOneWaitsAsOfAStranger) {
  People(3);
  Found(3, 8);
  ASSERT_OK(At(1).book().Add("carol", At(2).address()));
  At(2).notices.clear();
  ASSERT_OK(At(1).Send(At(2).address(), "a word aside", now_));
  ASSERT_OK(At(1).SendToGroup(group_, "to all", now_));
  Run(2);
  EXPECT_EQ(From(2, 1), Texts{"to all"});
  EXPECT_EQ(At(2).shown.size(), 1u);
  EXPECT_EQ(Requests(2), 1u);
  EXPECT_TRUE(Noticed(2, BookNotice::Kind::kRequest));
  At(2).Restart(now_);
  ASSERT_OK(At(2).book().Add("bob", At(1).address()));
  Run();
  EXPECT_EQ(At(2).shown.back().text, "a word aside");
  EXPECT_FALSE(At(2).shown.back().group.has_value());
}

TEST_F(GroupTest, AContactThatIsForgottenStaysAMember) {
  People(3);
  Found(3, 8);
  ASSERT_OK(At(1).book().Remove(At(0).address()));
  Run(3);
  ASSERT_OK(At(0).book().RemoveFromGroup(group_, At(2).address(), now_));
  Run(3);
  ASSERT_OK(At(0).SendToGroup(group_, "we two", now_));
  ASSERT_OK(At(1).SendToGroup(group_, "yes", now_));
  Run(2);
  EXPECT_EQ(From(1, 0), Texts{"we two"});
  EXPECT_EQ(From(0, 1), Texts{"yes"});
  ASSERT_OK(At(1).book().Block(At(0).address()));
  ASSERT_OK(At(0).SendToGroup(group_, "not seen", now_));
  Run(2);
  EXPECT_EQ(From(1, 0), Texts{"we two"});
}

// Somebody who waits in the requests does not get an answer because another names both in an invitation.
TEST_F(GroupTest, AnInvitationLetsNobodyElseIn) {
  People(3);
  Befriend();
  ASSERT_OK(At(2).book().Add("bob", At(1).address()));
  ASSERT_OK(At(2).Send(At(1).address(), "let me in", now_));
  Run(2);
  ASSERT_EQ(Requests(1), 1u);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book().CreateGroup("friends", Addresses(1, 3), "me", now_));
  Run(3);
  Accept(2);
  Run(3);
  ASSERT_NE(At(1).book().groups().Find(group_), nullptr);
  EXPECT_EQ(At(1).book().FindConversation(At(2).address())->standing(), Standing::kAsked);
  EXPECT_FALSE(At(2).book().FindConversation(At(1).address())->confirmed());
  Accept(1);
  Run(3);
  EXPECT_EQ(At(1).book().FindConversation(At(2).address())->standing(), Standing::kMember);
  EXPECT_EQ(At(1).book().groups().Chains(group_, now_).size(), 2u);
}

TEST_F(GroupTest, PeopleOfAnInvitationAreNoRequestsThatAPersonIsToldOf) {
  People(3);
  Befriend();
  ASSERT_OK_AND_ASSIGN(group_, At(0).book().CreateGroup("friends", Addresses(1, 3), "me", now_));
  Run(2);
  Accept(2);
  Run(3);
  EXPECT_FALSE(Noticed(1, BookNotice::Kind::kRequest));
  Accept(1);
  Run(3);
  EXPECT_EQ(Requests(1), 0u);
  EXPECT_EQ(At(1).book().groups().Chains(group_, now_).size(), 2u);
}

// A creator decides who is in a group, people that do not exist too: they go as they came, and are no more than there is room
// for.
TEST_F(GroupTest, PeopleWhoDoNotExistLeaveNothingAndTakeNoMoreThanTheRoom) {
  People(2);
  Befriend();
  support::SeededRng rng(3);
  std::vector<keys::PublicKey> ghosts;
  for (int i = 0; i < 5; ++i) {
    ghosts.push_back(keys::SigningKey::Generate(rng).public_key());
    ASSERT_OK(At(0).book().Add(absl::StrCat("ghost", i), ghosts.back()));
  }
  std::vector<keys::PublicKey> all = ghosts;
  all.push_back(At(1).address());
  ASSERT_OK_AND_ASSIGN(group_, At(0).book().CreateGroup("friends", all, "me", now_));
  Run(2);
  Accept(1);
  Run();
  EXPECT_EQ(At(1).book().contacts().size(), 1 + ghosts.size());
  for (const keys::PublicKey& ghost : ghosts) ASSERT_OK(At(0).book().RemoveFromGroup(group_, ghost, now_));
  Run(2);
  EXPECT_EQ(At(1).book().contacts().size(), 1u);
  while (At(1).book().contacts().size() < kContactsMax - 2) {
    const auto number = At(1).book().contacts().size();
    ASSERT_OK(At(1).book().Add(absl::StrCat("c", number), keys::PublicKey{rng.Array<32>()}));
  }
  ASSERT_OK(At(0).book().AddToGroup(group_, ghosts, now_));
  Run(2);
  EXPECT_EQ(At(1).book().groups().Find(group_)->members.size(), 2 + ghosts.size());
  EXPECT_EQ(At(1).book().contacts().size(), kContactsMax);
  At(1).book().RebuildSessions();
  EXPECT_EQ(At(1).book().contacts().size(), kContactsMax);
}

TEST_F(GroupTest, ARestoredMachineIsBackInItsGroupsWithFreshKeys) {
  People(3);
  Found(3, 8);
  ASSERT_OK(At(1).SendToGroup(group_, "before", now_));
  Run(2);
  const Group backup = *At(1).book().groups().Find(group_);
  At(1).RestoreOnNewMachine(now_, {{"p0", At(0).address()}}, {backup});
  Run(5);
  ASSERT_OK(At(1).SendToGroup(group_, "after", now_));
  ASSERT_OK(At(2).SendToGroup(group_, "welcome back", now_));
  Run(2);
  for (const size_t reader : {0, 2}) EXPECT_EQ(From(reader, 1), (Texts{"before", "after"}));
  EXPECT_EQ(From(1, 2), Texts{"welcome back"});
  EXPECT_TRUE(Noticed(2, BookNotice::Kind::kGroupRestarted));
}

// One of two who are no contacts has forgotten the session, the other one perhaps not: within the hour, too.
TEST_F(GroupTest, WhoIsTakenOutAndPutInAgainIsHeardAndHears) {
  People(3);
  Found(3, 8);
  for (int time = 0; time < 3; ++time) {
    ASSERT_OK(At(0).book().RemoveFromGroup(group_, At(2).address(), now_));
    Run(3, absl::Minutes(1));
    ASSERT_OK(At(0).book().AddToGroup(group_, Addresses(2, 3), now_));
    Run(2, absl::Minutes(1));
    Accept(2);
    Run(8, absl::Minutes(2));
    ASSERT_OK(At(1).SendToGroup(group_, absl::StrCat("welcome ", time), now_));
    ASSERT_OK(At(2).SendToGroup(group_, absl::StrCat("back ", time), now_));
    Run(3);
    EXPECT_EQ(From(2, 1).size(), time + 1u);
    EXPECT_EQ(From(1, 2).size(), time + 1u);
  }
  EXPECT_FALSE(Noticed(1, BookNotice::Kind::kReplaced)) << "nobody has compared words with it";
}

TEST_F(GroupTest, WhatDisappearsGoesAtAllEnds) {
  constexpr uint8_t kHour = 4;
  People(3);
  Found(3, 8);
  At(0).book().SetLife(group_, kHour);
  Run();
  At(0).Restart(now_);  // the setting is on disk
  ASSERT_OK(At(0).SendToGroup(group_, "gone soon", now_));
  ASSERT_OK(At(1).SendToGroup(group_, "kept", now_));
  Run(2);
  EXPECT_EQ(From(2, 0), Texts{"gone soon"});
  const auto sweep = [&] {
    for (auto& person : people_) {
      person->book().Disappear(now_);
      EXPECT_OK(person->inbox().Sweep(now_));
    }
  };
  const auto kept = [&](size_t who) { return At(who).inbox().Messages()->size(); };
  sweep();  // the readers' time begins
  for (size_t who = 0; who < 3; ++who) EXPECT_EQ(kept(who), 2u);
  EXPECT_FALSE(At(0).book().groups().FindOutbox(group_)->messages().begin()->second.text.empty());
  now_ += absl::Hours(1);
  sweep();
  for (size_t who = 0; who < 3; ++who) EXPECT_EQ(kept(who), 1u) << who;
  Run();
  At(0).Restart(now_);
  const Outgoing& sent = At(0).book().groups().FindOutbox(group_)->messages().begin()->second;
  EXPECT_TRUE(sent.text.empty());
  EXPECT_EQ(sent.state, DeliveryState::kStored) << "the sealed one goes its way";
  const Group backup = *At(0).book().groups().Find(group_);
  ASSERT_OK_AND_ASSIGN(const Group decoded, DecodeGroup(EncodeGroup(backup)));
  EXPECT_EQ(decoded.life, kHour);
}

class LossyGroupTest : public GroupTest {
 protected:
  LossyGroupTest() : GroupTest({.nodes = 20, .droppers = 4, .failure = 0.1, .lost_answer = 0.1}) {}

  // Everybody writes so many texts and reads what the others wrote: each once, nothing lost, in its order but for what is marked
  // late: a box that could be read only an hour after a later one.
  void EverybodyWrites(size_t people, int texts, int rounds) {
    for (int i = 0; i < texts; ++i) {
      for (size_t who = 0; who < people; ++who) {
        ASSERT_OK(At(who).SendToGroup(group_, absl::StrCat(who, " writes ", i), now_));
      }
      Run(1, absl::Minutes(10), /*with_door=*/false);
    }
    Run(rounds, absl::Minutes(10), /*with_door=*/false);
    size_t late = 0;
    for (size_t reader = 0; reader < people; ++reader) {
      for (size_t writer = 0; writer < people; ++writer) {
        if (writer == reader) continue;
        std::set<std::string> missing;
        for (int i = 0; i < texts; ++i) missing.insert(absl::StrCat(writer, " writes ", i));
        size_t next = 0;
        for (const Person::Shown& one : At(reader).shown) {
          if (one.from != At(writer).address()) continue;
          EXPECT_EQ(missing.erase(one.text), 1u) << reader << " was shown twice: " << one.text;
          late += one.late ? 1 : 0;
          const size_t number = std::stoul(one.text.substr(one.text.rfind(' ') + 1));
          EXPECT_TRUE(one.late || number >= next) << reader << ": " << one.text;
          if (!one.late) next = number + 1;
        }
        EXPECT_TRUE(missing.empty()) << reader << " misses " << missing.size() << " of " << writer;
      }
      EXPECT_FALSE(Noticed(reader, BookNotice::Kind::kGroupLost));
    }
    EXPECT_LE(late, people * people * static_cast<size_t>(texts) / 50);
  }
};

TEST_F(LossyGroupTest, FiveOverAStoreThatLoses) {
  People(5);
  Found(5, 30);
  EverybodyWrites(5, 20, 20);
}

TEST_F(LossyGroupTest, ThirtyTwoOverAStoreThatLoses) {
  People(32);
  Found(32, 30);
  EverybodyWrites(32, 2, 10);
}

// The disk of each is cut off again and again while people come and go; a new process knows only what was written.
TEST_F(GroupTest, KilledAtAnyWrite) {
  People(4);
  Found(3, 8);
  support::SeededRng rng(9);
  std::map<size_t, Texts> sent;
  for (int i = 0; i < 40; ++i) {
    for (size_t who = 0; who < 3; ++who) {
      const std::string text = absl::StrCat(who, " says ", i);
      if (At(who).SendToGroup(group_, text, now_).ok()) {
        sent[who].push_back(text);
      } else {
        At(who).Restart(now_);
      }
      At(who).disk.writes_left = static_cast<int64_t>(rng.Below(8));
    }
    if (i == 20) {
      At(0).Restart(now_);
      ASSERT_OK(At(0).book().AddToGroup(group_, Addresses(3, 4), now_));
    }
    if (i == 30) {
      At(0).Restart(now_);
      ASSERT_OK(At(0).book().RemoveFromGroup(group_, At(3).address(), now_));
    }
    Run(1, absl::Minutes(1));
  }
  for (size_t who = 0; who < 3; ++who) At(who).Restart(now_);
  Run(10, absl::Minutes(20));
  for (size_t reader = 0; reader < 3; ++reader) {
    for (size_t writer = 0; writer < 3; ++writer) {
      EXPECT_EQ(From(reader, writer), reader == writer ? Texts{} : sent[writer]) << reader << " of " << writer;
    }
  }
}

// What every node could see: boxes of a group are boxes like all others, and no two of them have anything in common.
TEST_F(GroupTest, BoxesOfAGroupLookLikeAllOthers) {
  People(3);
  Found(3, 8);
  for (int i = 0; i < 3; ++i) ASSERT_OK(At(0).SendToGroup(group_, "the same text", now_));
  Run();
  std::set<base::Bytes> keys, sealed;
  size_t boxes = 0;
  for (const dht::Record& record : store_.All()) {
    if (record.name.kind != dht::Kind::kBox) continue;
    ++boxes;
    EXPECT_EQ(record.body.size(), kBoxBodySize);
    ASSERT_OK_AND_ASSIGN(const Box box, ReadBoxRecord(record));
    EXPECT_EQ(box.expiry, StartOfDay(DayOf(box.expiry)));
    keys.insert(base::ToBytes(box.key.view()));
    sealed.insert(box.sealed);
  }
  EXPECT_GE(boxes, 3u);
  EXPECT_EQ(keys.size(), sealed.size());
}

}  // namespace
}  // namespace chat
