// SPDX-License-Identifier: Apache-2.0
// What hostile members and creators of groups come to, and which limits hold.

#include <gtest/gtest.h>

#include "tests/chat/group_book_world.h"

namespace chat {
namespace {

using support::Boxes;
using support::Texts;

class HostileGroupTest : public support::GroupBookWorld {};

TEST_F(HostileGroupTest, HostileWordsChangeNothing) {
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
  hear(2, GroupFarewell{group_, true, 1});   // not the creator
  hear(3, GroupFarewell{group_, false, 1});  // no member
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
  EXPECT_EQ(At(1).book->All().size(), 1 + kInvitationsOfOneMax);
  std::set<std::string> names;
  for (const Group* group : At(1).book->All()) names.insert(group->name);
  EXPECT_EQ(names.size(), 1 + kInvitationsOfOneMax) << "none is taken for another";
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

TEST_F(HostileGroupTest, AnyBytesAreHeardAndWhatIsOnDiskLoadsAgain) {
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

TEST_F(HostileGroupTest, NamesOfOthersAreSafeToPrint) {
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
TEST_F(HostileGroupTest, NamesThatGrowAsTheyAreMadeSafeAreCut) {
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
    ASSERT_OK(At(1).book->Leave(id));  // few of one creator may wait
  }
}

// Who made a group is in its id: somebody else neither takes it away nor takes it first.
TEST_F(HostileGroupTest, AGroupIsAnnouncedByWhoMadeItAlone) {
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

TEST_F(HostileGroupTest, InvitationsThatAreTakenBackLeaveNothing) {
  People(2);
  Found(2);
  const std::vector<GroupMember> members = At(1).book->Find(group_)->members;
  for (uint8_t i = 0; i < 100; ++i) {
    const GroupId id = GroupIdOf(At(0).key, {i});
    for (const GroupControl& control :
         {GroupControl(GroupAnnouncement{id, 1, "x", members}), GroupControl(GroupFarewell{id, true, 2})})
      At(1).book->OnControl(At(0).key, EncodeGroupControl(control), now_);
    At(1).Save(now_);
  }
  EXPECT_EQ(At(1).book->All().size(), 1u);
  EXPECT_EQ(At(1).Count(GroupNotice::Kind::kEnded), 0u);
  At(1).Restart();
  EXPECT_EQ(At(1).book->All().size(), 1u);
}

// Who is invited, and does not answer, has dealings with who invites alone.
TEST_F(HostileGroupTest, PeopleOfAnInvitationAreStrangersUntilItIsAccepted) {
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
TEST_F(HostileGroupTest, NobodyTakesAnothersWordsForItsOwn) {
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

TEST_F(HostileGroupTest, ManyChainsOfOneMemberAreBounded) {
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
TEST_F(HostileGroupTest, ManyOlderChainsOfOneMemberAreBounded) {
  People(3);
  ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, 3), "me", now_));
  Talk();
  support::SeededRng rng(5);
  for (uint32_t i = 0; i < 300; ++i) {
    const GroupChainTold told{group_, 1, false,
                              GroupWriter(1000 - i, static_cast<uint64_t>(absl::ToUnixSeconds(now_)) - i, rng).Tell()};
    At(1).book->OnControl(At(2).key, EncodeGroupControl(told), now_);
    if (i % 100 == 0) At(1).Save(now_);
  }
  At(1).Save(now_);
  At(1).Restart();
  ASSERT_OK(At(1).book->Accept(group_, now_));
  EXPECT_EQ(At(1).book->Chains(group_, now_ + absl::Hours(2)).size(), 1 + kGroupChainsMax) << "and that of who invites";
}

TEST_F(HostileGroupTest, LimitsAreKept) {
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

}  // namespace
}  // namespace chat
