// SPDX-License-Identifier: Apache-2.0
// chat/group_controls.h — what members of a group tell each other over their pairwise sessions, which prove who says it.
//
//   byte 1: what, then group 32, then
//   1 announcement   epoch 4 ‖ len 1 name ‖ count 1 ‖ for each member: identity 32 ‖ len 1 name        by the group's creator
//   2 chain          epoch 4 ‖ flags 1 (1: yours is wanted) ‖ P 32 ‖ secret 32 ‖ first 4 ‖ next 4 ‖ made 8
//   3 farewell       removed 1: 0 the sender goes, or is not in it; 1 the creator has removed, or does not list, whom it tells
// An announcement of 32 members has at most 3,200 bytes: two boxes, as a text would have. Pure.
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
  std::string name;  // that the creator uses for them
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
};
using GroupControl = std::variant<GroupAnnouncement, GroupChainTold, GroupFarewell>;

const GroupId& GroupOf(const GroupControl& control);
// An announcement or a chain of that group, encoded.
bool TellsOf(base::ByteView control, const GroupId& group);
base::Bytes EncodeGroupControl(const GroupControl& control);
// InvalidArgument for anything else, and: fewer than two members or more than kGroupMembersMax, one twice, no point for a key, an
// epoch of 0, names beyond kGroupNameMax or empty, a chain that begins behind its next message.
absl::StatusOr<GroupControl> DecodeGroupControl(base::ByteView bytes);

// The part of it that is also kept on disk.
void AppendMembers(base::ByteWriter& out, const std::vector<GroupMember>& members);
std::vector<GroupMember> TakeMembers(base::ByteReader& in);

}  // namespace chat
