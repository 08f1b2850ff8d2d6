// SPDX-License-Identifier: Apache-2.0
// What a group book writes, and how it is loaded.
#include <algorithm>

#include "base/status_macros.h"
#include "chat/contact_entries.h"
#include "chat/group_book.h"

namespace chat {

void GroupBook::SaveRoom(Room& room, Change& change) {
  const GroupId& id = room.group.id;
  for (auto& [key, peer] : room.peers) {
    if (peer.feed.TakeChanged()) change.entries.push_back({kFeedEntry, NameOf(id, key), peer.feed.Serialize()});
  }
  const Outbox::Changes outbox = room.outbox.TakeChanges();
  for (const uint64_t number : outbox.messages) {
    const auto it = room.outbox.messages().find(number);
    change.entries.push_back({kGroupMessageEntry, NameOf(id, number), std::nullopt});
    if (it != room.outbox.messages().end()) change.entries.back().value = EncodeOutgoing(it->second);
  }
  for (const uint32_t seq : outbox.parcels) {
    const auto it = room.outbox.parcels().find(seq);
    change.entries.push_back({kGroupParcelEntry, NameOf(id, seq), std::nullopt});
    if (it != room.outbox.parcels().end()) change.entries.back().value = EncodeParcel(it->second);
  }
  if (!std::exchange(room.changed, false)) return;
  base::ByteWriter out;
  out.Long(EncodeGroup(room.group)).Long(room.writer ? room.writer->Serialize() : base::Bytes());
  for (const auto& [key, peer] : room.peers) {
    out.Append(key.view()).Append(peer.told.view()).U32(peer.announced);
    out.U64(static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(peer.asked))));
  }
  change.entries.push_back({kGroupEntry, NameOf(id), out.Take()});
}

GroupBook::Change GroupBook::TakeChange() {
  Change change;
  change.entries = std::exchange(gone_, {});
  for (auto& [id, room] : rooms_) SaveRoom(room, change);
  if (std::exchange(early_changed_, false)) {
    base::ByteWriter out;
    for (const Early& one : early_) out.Append(one.from.view()).Long(EncodeGroupControl(one.told));
    change.entries.push_back({kEarlyEntry, {}, out.Take()});
  }
  if (std::exchange(left_changed_, false)) {
    base::ByteWriter out;
    for (const Left& one : left_) out.Append(one.group.view()).U32(one.epoch);
    change.entries.push_back({kLeftEntry, {}, out.Take()});
  }
  change.arrived = std::exchange(arrived_, {});
  change.notices = std::exchange(notices_, {});
  change.states = std::exchange(states_, {});
  return change;
}

absl::Status GroupBook::Load(const BookEntry& entry) {
  const absl::Status damaged = absl::DataLossError("damaged group");
  base::ByteReader name(entry.name), in(*entry.value);
  if (entry.type == kEarlyEntry) {
    while (in.ok() && in.left() > 0) {
      Early one{{in.Array<32>()}, {}};
      ASSIGN_OR_RETURN(const GroupControl told, DecodeGroupControl(in.Long()));
      if (!std::holds_alternative<GroupChainTold>(told)) return damaged;
      early_.push_back({one.from, std::get<GroupChainTold>(told)});
    }
    return in.ok() ? absl::OkStatus() : damaged;
  }
  if (entry.type == kLeftEntry) {
    while (in.ok() && in.left() > 0) {
      const GroupId group{in.Array<32>()};
      left_.push_back({group, in.U32()});
    }
    return in.ok() ? absl::OkStatus() : damaged;
  }
  const GroupId id{name.Array<32>()};
  if (entry.type == kGroupEntry) {
    ASSIGN_OR_RETURN(Group group, DecodeGroup(in.Long()));
    if (group.id != id) return damaged;
    Room& room = NewRoom(std::move(group));
    room.changed = false;
    const base::ByteView writer = in.Long();
    if (writer.size() == GroupWriter::kSerializedSize) room.writer.emplace(GroupWriter::Parse(writer));
    while (in.ok() && in.left() > 0) {
      const auto known = room.peers.find({in.Array<32>()});
      if (known == room.peers.end()) return damaged;  // those of the list, and nobody else
      Peer& peer = known->second;
      peer.told.bytes = in.Array<32>();
      peer.announced = in.U32();
      peer.asked = absl::FromUnixSeconds(static_cast<int64_t>(in.U64() & INT64_MAX));
    }
    return in.ok() && (room.writer || room.group.state != Group::State::kMember) ? absl::OkStatus() : damaged;
  }
  const auto it = rooms_.find(id);
  if (it == rooms_.end()) return damaged;
  if (entry.type == kFeedEntry) {
    const auto peer = it->second.peers.find({name.Array<32>()});
    if (peer == it->second.peers.end()) return absl::OkStatus();  // of nobody in it
    // What somebody else decides on in part is not worth a book: an empty one is as that of a member just met.
    peer->second.feed = GroupFeed::Parse(*entry.value).value_or(GroupFeed());
  } else if (entry.type == kGroupMessageEntry) {
    ASSIGN_OR_RETURN(Outgoing message, DecodeOutgoing(*entry.value));
    it->second.outbox.Restore(std::move(message));
  } else {
    ASSIGN_OR_RETURN(Parcel parcel, DecodeParcel(*entry.value));
    it->second.outbox.Restore(std::move(parcel));
  }
  return absl::OkStatus();
}

constexpr int kStateBits = 4;  // the others: its life; earlier versions set none

base::Bytes EncodeGroup(const Group& group) {
  base::ByteWriter out;
  out.Append(group.id.view())
      .U8(static_cast<uint8_t>(group.state) | group.life << kStateBits)
      .Append(group.creator.view())
      .U32(group.epoch);
  out.Short(base::AsBytes(group.name));
  AppendMembers(out, group.members);
  return out.Take();
}

absl::StatusOr<Group> DecodeGroup(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Group group;
  group.id.bytes = in.Array<32>();
  const uint8_t state = in.U8();
  group.state = static_cast<Group::State>(state & ((1 << kStateBits) - 1));
  group.life = state >> kStateBits;
  group.creator.bytes = in.Array<32>();
  group.epoch = in.U32();
  group.name = base::ToString(in.Short());
  group.members = TakeMembers(in);
  const bool is_known =
      group.state >= Group::State::kInvited && group.state <= Group::State::kEnded && group.life < kMessageLifeCodes;
  return in.Done() && is_known && group.members.size() <= kGroupMembersMax ? absl::StatusOr<Group>(std::move(group))
                                                                           : absl::DataLossError("damaged group");
}

}  // namespace chat
