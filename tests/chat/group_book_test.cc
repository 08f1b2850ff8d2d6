// SPDX-License-Identifier: Apache-2.0
// Groups by themselves: what members tell each other is handed over at once, boxes lie in a map. Chains, feeds, who reads what,
// and what hostile members and creators come to.
#include "chat/group_book.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "chat/contact_entries.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using Texts = std::vector<std::string>;

// The store: a box at each place that was written.
using Boxes = std::map<overlay::NodeId, base::Bytes>;

class Member {
 public:
  explicit Member(uint64_t seed) : rng_(seed), key(keys::SigningKey::Generate(rng_).public_key()) { Restart(); }

  // Only what was saved is known.
  void Restart() {
    book = std::make_unique<GroupBook>(GroupBook::Options{"local", 1, key}, rng_);
    for (const bool first : {true, false}) {
      for (const auto& [name, entry] : disk_) {
        if ((entry.type == kGroupEntry) != first) continue;
        EXPECT_OK(book->Load(entry));
      }
    }
  }
  GroupMember AsMember() const { return {key, absl::StrCat("m", base::ToHex(key.view().first(2)))}; }

  // Saves, and hands out what is to be told.
  std::vector<GroupBook::Told> Save(absl::Time now) {
    book->Advance(now);
    return SaveAsItIs();
  }
  std::vector<GroupBook::Told> SaveAsItIs() {
    auto told = book->TakeControls();
    GroupBook::Change change = book->TakeChange();
    for (BookEntry& entry : change.entries) {
      const auto name = std::pair(entry.type, entry.name);
      disk_.erase(name);
      if (entry.value) disk_.emplace(name, std::move(entry));
    }
    for (const Message& message : change.arrived) {
      texts.push_back(base::ToString(message.text));
      late += message.late ? 1 : 0;
    }
    notices.insert(notices.end(), change.notices.begin(), change.notices.end());
    for (const auto& state : change.states) states[state.change.id] = state.change.state;
    return told;
  }
  void Write(Boxes& boxes, absl::Time now) {
    for (const GroupBook::Put& put : book->Puts(now, 1000)) {
      boxes.emplace(put.record.name.point, put.record.body);
      book->OnPut(put.group, put.seq, 3, now);
    }
  }
  void Read(const Boxes& boxes, absl::Time now) {
    auto reads = book->BeginRound({}, now);
    while (!reads.empty()) {
      std::vector<GroupBook::Read> more;
      for (const GroupBook::Read& read : reads) {
        const auto box = boxes.find(read.probe.point);
        for (auto& one : book->OnRead(read, box == boxes.end() ? std::nullopt : std::optional(box->second), now))
          more.push_back(std::move(one));
      }
      reads = std::move(more);
    }
  }
  // What is on disk of feeds is damaged.
  void DamageFeeds() {
    for (auto& [name, entry] : disk_) {
      if (entry.type == kFeedEntry) entry.value->resize(entry.value->size() / 2);
    }
  }
  std::vector<BookEntry> OnDisk() const {
    std::vector<BookEntry> entries;
    for (const auto& [name, entry] : disk_) entries.push_back(entry);
    return entries;
  }
  size_t Count(GroupNotice::Kind kind) const {
    return static_cast<size_t>(std::count_if(notices.begin(), notices.end(), [&](const auto& one) { return one.kind == kind; }));
  }

 private:
  support::SeededRng rng_;
  std::map<std::pair<uint8_t, base::Bytes>, BookEntry> disk_;

 public:
  const keys::PublicKey key;
  std::unique_ptr<GroupBook> book;
  Texts texts;
  int late = 0;
  std::vector<GroupNotice> notices;
  std::map<MessageId, DeliveryState> states;
};

class GroupBookTest : public testing::Test {
 protected:
  void People(size_t count) {
    for (size_t i = 0; i < count; ++i) people_.push_back(std::make_unique<Member>(i + 1));
  }
  Member& At(size_t i) { return *people_[i]; }
  std::vector<GroupMember> Others(size_t from, size_t to) {
    std::vector<GroupMember> members;
    for (size_t i = from; i < to; ++i) members.push_back(At(i).AsMember());
    return members;
  }
  // All that is told is heard, except by whom is away.
  void Talk(const std::set<size_t>& away = {}) {
    for (bool any = true; any;) {
      any = false;
      for (size_t i = 0; i < people_.size(); ++i) {
        if (away.contains(i)) continue;
        for (const GroupBook::Told& told : At(i).Save(now_)) Queue(At(i).key, told);
      }
      for (size_t i = 0; i < people_.size(); ++i) {
        if (away.contains(i)) continue;
        for (auto& [from, bytes] : std::exchange(post_[At(i).key], {})) {
          At(i).book->OnControl(from, bytes, now_);
          any = true;
        }
      }
    }
  }
  void Queue(const keys::PublicKey& from, const GroupBook::Told& told) { post_[told.to].emplace_back(from, told.bytes); }
  // Everybody writes, then reads.
  void Round(const std::set<size_t>& away = {}) {
    Talk(away);
    for (size_t i = 0; i < people_.size(); ++i) {
      if (!away.contains(i)) At(i).Write(boxes_, now_);
    }
    for (size_t i = 0; i < people_.size(); ++i) {
      if (!away.contains(i)) At(i).Read(boxes_, now_);
    }
    Talk(away);
    now_ += absl::Minutes(1);
  }
  // A group of the first so many, which all have accepted.
  void Found(size_t count) {
    ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, count), "me", now_));
    Talk();
    for (size_t i = 1; i < count; ++i) ASSERT_OK(At(i).book->Accept(group_, now_));
    Talk();
  }
  void Say(size_t who, const std::string& text) {
    ASSERT_OK(At(who).book->Send(group_, base::ToBytes(base::AsBytes(text)), now_));
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  std::vector<std::unique_ptr<Member>> people_;
  std::map<keys::PublicKey, std::vector<std::pair<keys::PublicKey, base::Bytes>>> post_;
  Boxes boxes_;
  GroupId group_;
  support::SeededRng new_rng_{77};
};

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

TEST_F(GroupBookTest, HostileWordsChangeNothing) {
  People(4);
  Found(3);
  const Group before = *At(1).book->Find(group_);
  const auto hear = [&](size_t from, const GroupControl& control) {
    At(1).book->OnControl(At(from).key, EncodeGroupControl(control), now_);
    At(1).Save(now_);
  };
  GroupAnnouncement next{group_, before.epoch + 1, "x", before.members};
  hear(2, next);  // not the creator
  GroupAnnouncement without_us = next;
  std::erase_if(without_us.members, [&](const auto& one) { return one.key == At(1).key; });
  hear(0, without_us);
  GroupAnnouncement without_creator = next;
  std::erase_if(without_creator.members, [&](const auto& one) { return one.key == At(0).key; });
  hear(0, without_creator);
  GroupAnnouncement twice = next;
  twice.members.push_back(twice.members[0]);
  hear(0, twice);
  GroupAnnouncement no_point = next;
  no_point.members.push_back({{}, "zero"});
  hear(0, no_point);
  GroupAnnouncement old = next;
  old.epoch = before.epoch;
  hear(0, old);
  old.epoch = UINT32_MAX;
  hear(0, old);
  hear(2, GroupFarewell{group_, true});   // not the creator
  hear(3, GroupFarewell{group_, false});  // no member
  hear(3, GroupChainTold{group_, 1, true, {}});
  for (const std::string& junk : {std::string(), std::string("\x01"), std::string(5000, '\x02'), std::string(34, '\x03')}) {
    At(1).book->OnControl(At(0).key, base::AsBytes(junk), now_);
  }
  EXPECT_EQ(At(1).book->Find(group_)->members, before.members);
  EXPECT_EQ(At(1).book->Find(group_)->epoch, before.epoch);
  EXPECT_EQ(At(1).book->Find(group_)->state, Group::State::kMember);
  for (int i = 0; i < 100; ++i) {  // invitations without end
    hear(0, GroupAnnouncement{GroupIdOf(At(0).key, {static_cast<uint8_t>(i), 1}), 1, "friends", before.members});
  }
  EXPECT_EQ(At(1).book->All().size(), 1 + kInvitationsMax);
  std::set<std::string> names;
  for (const Group* group : At(1).book->All()) names.insert(group->name);
  EXPECT_EQ(names.size(), 1 + kInvitationsMax) << "none is taken for another";
  support::SeededRng rng(5);
  for (int i = 0; i < 1000; ++i) {  // chains of groups that nobody knows
    GroupId id;
    id.bytes[0] = static_cast<uint8_t>(i), id.bytes[1] = 2;
    At(1).book->OnControl(At(0).key, EncodeGroupControl(GroupChainTold{id, 1, false, GroupWriter(0, 1, rng).Tell()}), now_);
  }
  At(1).Save(now_);
  At(1).Restart();
  Say(2, "still works");
  Round();
  EXPECT_EQ(At(1).texts, Texts{"still works"});
}

TEST_F(GroupBookTest, AnyBytesAreHeardAndWhatIsOnDiskLoadsAgain) {
  People(3);
  Found(3);
  support::SeededRng rng(11);
  const Group& group = *At(0).book->Find(group_);
  const GroupControl whole[] = {GroupAnnouncement{group_, 9, "friends", group.members},
                                GroupChainTold{group_, 1, true, GroupWriter(0, 1, rng).Tell()}, GroupFarewell{group_, true}};
  for (int i = 0; i < 3000; ++i) {
    base::Bytes bytes = EncodeGroupControl(whole[rng.Below(3)]);
    if (rng.Below(2) == 0) bytes.resize(rng.Below(bytes.size() + 1));
    for (size_t flips = rng.Below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[rng.Below(bytes.size())] = static_cast<uint8_t>(rng.Below(256));
    }
    At(1).book->OnControl(At(rng.Below(3)).key, bytes, now_);
  }
  At(1).Save(now_);
  At(1).Restart();
  EXPECT_LE(At(1).book->All().size(), 1 + kInvitationsMax);
}

TEST_F(GroupBookTest, NamesOfOthersAreSafeToPrint) {
  People(2);
  Found(2);
  const GroupId id = GroupIdOf(At(0).key, {9});
  const GroupAnnouncement odd{id, 1, "a\x1b[31m\nb", {{At(0).key, "x\r\n\x9b"}, {At(1).key, std::string(64, '\xff')}}};
  At(1).book->OnControl(At(0).key, EncodeGroupControl(odd), now_);
  At(1).Save(now_);
  At(1).Restart();
  const Group& group = *At(1).book->Find(id);
  EXPECT_EQ(group.name.find_first_of("\x1b\n"), std::string::npos);
  for (const GroupMember& member : group.members) EXPECT_EQ(member.name.find_first_of("\r\n\x9b"), std::string::npos);
}

// What is put for a character may be longer than it: the list is kept on disk, where a name has one byte of length.
TEST_F(GroupBookTest, NamesThatGrowAsTheyAreMadeSafeAreCut) {
  People(2);
  std::string euros;
  for (int i = 0; i < 21; ++i) euros += "€";
  const struct {
    std::string name, safe;
  } cases[] = {{std::string(64, '\t'), "?"},
               {std::string(63, '\t') + "x", "?"},
               {"x" + std::string(63, '\t'), "x" + std::string(63, ' ')},
               {"\x1b\x1b", "?"},
               {euros + "\t", euros + " "},
               {"\t" + euros, "    " + euros.substr(0, 60)}};
  uint8_t number = 0;
  for (const auto& one : cases) {
    const GroupId id = GroupIdOf(At(0).key, {++number});
    const GroupAnnouncement odd{id, 1, one.name, {{At(0).key, one.name}, {At(1).key, "y"}}};
    At(1).book->OnControl(At(0).key, EncodeGroupControl(odd), now_);
    At(1).Save(now_);
    At(1).Restart();
    const Group* group = At(1).book->Find(id);
    ASSERT_NE(group, nullptr) << base::ToHex(base::AsBytes(one.name));
    EXPECT_EQ(group->name.substr(0, one.safe.size()), one.safe) << "behind it may be what tells two apart";
    EXPECT_EQ(group->members[0].name, one.safe);
  }
}

// Who made a group is in its id: somebody else neither takes it away nor takes it first.
TEST_F(GroupBookTest, AGroupIsAnnouncedByWhoMadeItAlone) {
  People(4);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, 3), "me", now_));
  const auto says = [&](size_t from, const GroupId& id) {
    const GroupAnnouncement taken{id, 1, "mine", {At(from).AsMember(), At(1).AsMember()}};
    At(1).book->OnControl(At(from).key, EncodeGroupControl(taken), now_);
    At(1).Save(now_);
  };
  says(2, group_);  // before its creator does
  says(2, At(3).key);
  EXPECT_TRUE(At(1).book->All().empty());
  Talk();
  ASSERT_NE(At(1).book->Find(group_), nullptr);
  EXPECT_EQ(At(1).book->Find(group_)->creator, At(0).key);
  Group backup = *At(0).book->Find(group_);
  GroupBook restored({"local", 1, At(0).key}, new_rng_);
  backup.creator = At(2).key;
  EXPECT_STATUS(restored.Restore(backup, now_), kFailedPrecondition);
}

TEST_F(GroupBookTest, InvitationsThatAreTakenBackLeaveNothing) {
  People(2);
  Found(2);
  const std::vector<GroupMember> members = At(1).book->Find(group_)->members;
  for (uint8_t i = 0; i < 100; ++i) {
    const GroupId id = GroupIdOf(At(0).key, {i});
    for (const GroupControl& control :
         {GroupControl(GroupAnnouncement{id, 1, "x", members}), GroupControl(GroupFarewell{id, true})})
      At(1).book->OnControl(At(0).key, EncodeGroupControl(control), now_);
    At(1).Save(now_);
  }
  EXPECT_EQ(At(1).book->All().size(), 1u);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kEnded), 0u);
  At(1).Restart();
  EXPECT_EQ(At(1).book->All().size(), 1u);
}

// Who is invited, and does not answer, has dealings with who invites alone.
TEST_F(GroupBookTest, PeopleOfAnInvitationAreStrangersUntilItIsAccepted) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, 3), "me", now_));
  Talk();
  EXPECT_EQ(At(1).book->Peers(), std::set<keys::PublicKey>{At(0).key});
  EXPECT_TRUE(At(1).book->IsInvitedWith(At(2).key));
  At(1).book->TakePeersChanged();
  ASSERT_OK(At(1).book->Accept(group_, now_));
  EXPECT_TRUE(At(1).book->TakePeersChanged());
  EXPECT_EQ(At(1).book->Peers(), (std::set<keys::PublicKey>{At(0).key, At(2).key}));
  EXPECT_FALSE(At(1).book->IsInvitedWith(At(2).key));
}

// Who tells another's chain as its own is not shown as the writer of what lies in it.
TEST_F(GroupBookTest, NobodyTakesAnothersWordsForItsOwn) {
  People(3);
  Found(3);
  Say(0, "mine");
  for (const GroupBook::Told& told : At(0).Save(now_)) Queue(At(0).key, told);
  const auto chain = [&] {
    GroupBook copy({"local", 1, At(0).key}, new_rng_);
    for (const BookEntry& entry : At(0).OnDisk()) {
      if (entry.type != kGroupEntry) continue;
      EXPECT_OK(copy.Load(entry));
    }
    copy.OnControlExpired(At(2).key);  // it tells its chain once more
    copy.Advance(now_);
    return copy.TakeControls();
  }();
  for (const GroupBook::Told& told : chain) {
    if (told.to == At(2).key) At(1).book->OnControl(At(2).key, told.bytes, now_ + absl::Hours(1));
  }
  Round();
  Say(0, "mine too");
  Round();
  EXPECT_EQ(At(1).texts, (Texts{"mine", "mine too"}));
}

TEST_F(GroupBookTest, ManyChainsOfOneMemberAreBounded) {
  People(2);
  Found(2);
  support::SeededRng rng(5);
  for (uint32_t i = 0; i < 100; ++i) {
    At(1).book->OnControl(
        At(0).key, EncodeGroupControl(GroupChainTold{group_, 1, false, GroupWriter(i, 30000000000 + i, rng).Tell()}), now_);
  }
  now_ += absl::Hours(2);
  EXPECT_LE(At(1).book->Chains(group_, now_).size(), kGroupChainsMax);
}

// Each one made before all that are known, while nothing is read: the book has to load again.
TEST_F(GroupBookTest, ManyOlderChainsOfOneMemberAreBounded) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, 3), "me", now_));
  Talk();
  support::SeededRng rng(5);
  for (uint32_t i = 0; i < 300; ++i) {
    const GroupChainTold told{group_, 1, false, GroupWriter(1000 - i, 30000000000 - i, rng).Tell()};
    At(1).book->OnControl(At(2).key, EncodeGroupControl(told), now_);
    if (i % 100 == 0) At(1).Save(now_);
  }
  At(1).Save(now_);
  At(1).Restart();
  ASSERT_OK(At(1).book->Accept(group_, now_));
  EXPECT_EQ(At(1).book->Chains(group_, now_ + absl::Hours(2)).size(), 1 + kGroupChainsMax) << "and that of who invites";
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

TEST_F(GroupBookTest, LimitsAreKept) {
  People(34);
  EXPECT_STATUS(At(0).book->Create("", Others(1, 2), "me", now_), kInvalidArgument);
  EXPECT_STATUS(At(0).book->Create("x", {}, "me", now_), kInvalidArgument);
  EXPECT_STATUS(At(0).book->Create("x", Others(1, 33), "me", now_), kResourceExhausted);
  EXPECT_STATUS(At(0).book->Create("x", {At(1).AsMember(), At(1).AsMember()}, "me", now_), kInvalidArgument);
  EXPECT_TRUE(At(0).book->All().empty());
  Found(32);
  EXPECT_STATUS(At(0).book->Create("friends", Others(1, 2), "me", now_), kAlreadyExists);
  EXPECT_STATUS(At(0).book->Add(group_, Others(32, 33), now_), kResourceExhausted);
  EXPECT_STATUS(At(0).book->Send(group_, base::Bytes(kTextMax + 1), now_), kOutOfRange);
  GroupAnnouncement largest{group_, 1, std::string(kGroupNameMax, 'n'), {}};
  for (size_t i = 0; i < kGroupMembersMax; ++i) largest.members.push_back({At(i).key, std::string(kGroupNameMax, 'm')});
  EXPECT_LE(EncodeGroupControl(largest).size(), 2 * kBoxTextMax);
  EXPECT_OK(DecodeGroupControl(EncodeGroupControl(largest)));
  for (size_t i = 0; i < 32; ++i) Say(i, absl::StrCat("I am ", i));
  Round();
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(At(i).texts.size(), 31u);
  EXPECT_EQ(boxes_.size(), 32u);
}

// ---- chains

class GroupChainTest : public testing::Test {
 protected:
  Content Text(const std::string& text) {
    Content content{.kind = ContentKind::kText};
    content.text = base::ToBytes(base::AsBytes(text));
    return content;
  }
  support::SeededRng rng_{1};
  const GroupId group_{rng_.Array<32>()};
  const keys::PublicKey self_{rng_.Array<32>()};
  const absl::Time expiry_ = StartOfDay(20800);
};

TEST_F(GroupChainTest, AReaderFindsVerifiesAndOpensWhatTheWriterWrote) {
  GroupWriter writer(7, 1, rng_);
  GroupWriter loaded = GroupWriter::Parse(writer.Serialize());
  BoxReader reader(PlaceChain(writer.Tell().secret), 7, writer.writer());
  std::set<keys::PublicKey> keys;
  for (uint32_t seq = 7; seq < 20; ++seq) {
    GroupWriter& one = seq % 2 == 0 ? writer : loaded;
    const Box box = one.Seal(group_, self_, Text(absl::StrCat(seq)), "local", expiry_, rng_);
    (seq % 2 == 0 ? loaded : writer) = GroupWriter::Parse(one.Serialize());
    EXPECT_TRUE(VerifyBox(box, "local"));
    EXPECT_FALSE(VerifyBox(box, "other"));
    EXPECT_EQ(EncodeBox(box).size(), kBoxBodySize);
    EXPECT_TRUE(keys.insert(box.key).second);
    const auto probes = reader.NextHead();
    ASSERT_EQ(probes.size(), 1u);
    EXPECT_EQ(probes[0].box_key, box.key);
    const auto seed = reader.SeedOf(seq);
    ASSERT_TRUE(seed.has_value());
    ASSERT_OK_AND_ASSIGN(const Content content, OpenGroupBox(group_, self_, writer.writer(), seq, *seed, box.sealed));
    EXPECT_EQ(base::ToString(content.text), absl::StrCat(seq));
    EXPECT_STATUS(OpenGroupBox(GroupId{}, self_, writer.writer(), seq, *seed, box.sealed), kUnauthenticated);
    EXPECT_STATUS(OpenGroupBox(group_, self_, writer.writer(), seq + 1, *seed, box.sealed), kUnauthenticated);
    EXPECT_TRUE(reader.OnFound(seq, expiry_));
    EXPECT_FALSE(reader.SeedOf(seq).has_value()) << "what was read cannot be opened once more";
  }
}

TEST_F(GroupChainTest, WhoReadsCannotWrite) {
  GroupWriter writer(0, 1, rng_);
  const GroupChain known = writer.Tell();
  const keys::WipedArray<32> seed = PlaceChain(known.secret).Seed();
  const keys::PublicKey place = GroupBoxKey(known.writer, seed);
  EXPECT_EQ(place, writer.Seal(group_, self_, Text("mine"), "local", expiry_, rng_).key);
  // All that a reader has to sign with: the seed, and a pair of its own.
  Box forged = MakeBox(seed, "local", base::Bytes(kBoxSealedSize, 1), expiry_);
  EXPECT_NE(forged.key, place);
  forged.key = place;
  EXPECT_FALSE(VerifyBox(forged, "local"));
  GroupWriter other(0, 1, rng_);
  forged = other.Seal(group_, self_, Text("yours"), "local", expiry_, rng_);
  EXPECT_NE(forged.key, place);
  forged.key = place;
  EXPECT_FALSE(VerifyBox(forged, "local"));
}

}  // namespace
}  // namespace chat
