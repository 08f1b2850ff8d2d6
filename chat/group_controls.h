// SPDX-License-Identifier: Apache-2.0
// chat/group_controls.h — what members of a group tell each other over their pairwise sessions, which prove who says it.
//
//   byte 1: what, then group 32, then
//   1 announcement   epoch 4 ‖ len 1 name ‖ count 1 ‖ for each member: identity 32 ‖ len 1 name
//                    ‖ for each member: since 4, the epoch that put it in                              by the group's creator
//   2 chain          epoch 4 ‖ flags 1 (1: yours is wanted) ‖ P 32 ‖ secret 32 ‖ first 4 ‖ next 4 ‖ made 8
//   3 farewell       removed 1 ‖ epoch 4
//                    0: the sender goes, or went; epoch of the list by which it went
//                    1: the creator has removed, or does not list, whom it tells; epoch of the list that does not name them
// A membership is an identity and its `since`: whoever is taken out and put in again is another member, and what was said by or
// to the one of before is known by its epoch, however late it is read (group_book.h). An announcement of 32 members has at most
// 3,335 bytes: two boxes, as a text would have. Pure.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "chat/group_chain.h"

namespace chat {

inline constexpr size_t kGroupMembersMax = 32;
inline constexpr size_t kGroupNameMax = 64;  // bytes, of a group and of a member

struct GroupMember {
  keys::PublicKey key;
  std::string name;    // that the creator uses for them
  uint32_t since = 0;  // epoch that put them in; 0: not known (of before lists said it)
  bool operator==(const GroupMember&) const = default;
};

struct GroupAnnouncement {
  GroupId group;
  uint32_t epoch = 0;  // one more at every change
  std::string name;
  std::vector<GroupMember> members;  // with the creator
};
struct GroupChainTold {
  GroupId group;
  uint32_t epoch = 0;  // that its sender knows
  bool wants = false;  // has no chain of the receiver, or found nothing in it for long
  GroupChain chain;
};
struct GroupFarewell {
  GroupId group;
  bool removed = false;
  uint32_t epoch = 0;
};
using GroupControl = std::variant<GroupAnnouncement, GroupChainTold, GroupFarewell>;

const GroupId& GroupOf(const GroupControl& control);
// An announcement or a chain of that group, encoded.
bool TellsOf(base::ByteView control, const GroupId& group);
base::Bytes EncodeGroupControl(const GroupControl& control);
// InvalidArgument for anything else, and: fewer than two members or more than kGroupMembersMax, one twice, no point for a key, an
// epoch of 0, a member since a later one, names beyond kGroupNameMax or empty, a chain that begins behind its next message.
absl::StatusOr<GroupControl> DecodeGroupControl(base::ByteView bytes);

// The part of it that is also kept on disk.
void AppendMembers(base::ByteWriter& out, const std::vector<GroupMember>& members);
// Nothing behind them: what was kept before lists said since when; all 0.
std::vector<GroupMember> TakeMembers(base::ByteReader& in);

}  // namespace chat
