// SPDX-License-Identifier: Apache-2.0
#include "chat/group_controls.h"

#include <set>

#include "base/check.h"
#include "base/overloaded.h"
#include "keys/identity.h"

namespace chat {

namespace {

constexpr uint8_t kAnnouncement = 1, kChain = 2, kFarewell = 3;
constexpr uint8_t kFlagWants = 1;

absl::Status Malformed() { return absl::InvalidArgumentError("malformed word of a group"); }

bool IsName(const std::string& name) { return !name.empty() && name.size() <= kGroupNameMax; }

bool IsSound(const GroupAnnouncement& announcement) {
  if (announcement.epoch == 0 || !IsName(announcement.name)) return false;
  if (announcement.members.size() < 2 || announcement.members.size() > kGroupMembersMax) return false;
  std::set<keys::PublicKey> distinct;
  for (const GroupMember& member : announcement.members) {
    if (member.since > announcement.epoch) return false;
    if (!IsName(member.name) || !keys::ToX25519(member.key).ok() || !distinct.insert(member.key).second) return false;
  }
  return true;
}

}  // namespace

const GroupId& GroupOf(const GroupControl& control) {
  return std::visit([](const auto& one) -> const GroupId& { return one.group; }, control);
}

void AppendMembers(base::ByteWriter& out, const std::vector<GroupMember>& members) {
  CHECK(members.size() <= kGroupMembersMax);
  out.U8(static_cast<uint8_t>(members.size()));
  for (const GroupMember& member : members) out.Append(member.key.view()).Short(base::AsBytes(member.name));
  for (const GroupMember& member : members) out.U32(member.since);
}

std::vector<GroupMember> TakeMembers(base::ByteReader& in) {
  std::vector<GroupMember> members;
  for (size_t left = in.U8(); left > 0 && in.ok(); --left) {
    GroupMember member;
    member.key.bytes = in.Array<32>();
    member.name = base::ToString(in.Short());
    members.push_back(std::move(member));
  }
  for (size_t i = 0; i < members.size() && in.left() > 0; ++i) members[i].since = in.U32();
  return members;
}

bool TellsOf(base::ByteView bytes, const GroupId& group) {
  const auto control = DecodeGroupControl(bytes);
  return control.ok() && !std::holds_alternative<GroupFarewell>(*control) && GroupOf(*control) == group;
}

base::Bytes EncodeGroupControl(const GroupControl& control) {
  base::ByteWriter out;
  std::visit(base::Overloaded{[&](const GroupAnnouncement& one) {
                                out.U8(kAnnouncement).Append(one.group.view()).U32(one.epoch).Short(base::AsBytes(one.name));
                                AppendMembers(out, one.members);
                              },
                              [&](const GroupChainTold& one) {
                                out.U8(kChain).Append(one.group.view()).U32(one.epoch).U8(one.wants ? kFlagWants : 0);
                                out.Append(one.chain.writer.view()).Append(one.chain.secret.view());
                                out.U32(one.chain.first).U32(one.chain.next).U64(one.chain.made);
                              },
                              [&](const GroupFarewell& one) {
                                out.U8(kFarewell).Append(one.group.view()).U8(one.removed ? 1 : 0).U32(one.epoch);
                              }},
             control);
  return out.Take();
}

absl::StatusOr<GroupControl> DecodeGroupControl(base::ByteView bytes) {
  base::ByteReader in(bytes);
  const uint8_t what = in.U8();
  const GroupId group{in.Array<32>()};
  if (what == kAnnouncement) {
    GroupAnnouncement one{group, in.U32(), base::ToString(in.Short()), {}};
    one.members = TakeMembers(in);
    return in.Done() && IsSound(one) ? absl::StatusOr<GroupControl>(std::move(one)) : Malformed();
  }
  if (what == kChain) {
    GroupChainTold one{group, in.U32(), in.U8() == kFlagWants, {}};
    one.chain.writer.bytes = in.Array<32>();
    one.chain.secret = keys::WipedArray<32>(in.Array<32>());
    one.chain.first = in.U32();
    one.chain.next = in.U32();
    one.chain.made = in.U64();
    const bool is_sound =
        one.chain.first <= one.chain.next && one.chain.next <= kGroupSeqMax && keys::ToX25519(one.chain.writer).ok();
    return in.Done() && is_sound ? absl::StatusOr<GroupControl>(std::move(one)) : Malformed();
  }
  const uint8_t removed = in.U8();
  const uint32_t epoch = in.U32();
  if (what != kFarewell || removed > 1 || !in.Done()) return Malformed();
  return GroupFarewell{group, removed == 1, epoch};
}

}  // namespace chat
