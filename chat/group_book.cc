// SPDX-License-Identifier: Apache-2.0
#include "chat/group_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/overloaded.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "chat/contact_entries.h"
#include "keys/hash.h"

namespace chat {

namespace {

bool IsName(const std::string& name) { return !name.empty() && name.size() <= kGroupNameMax; }

// What others call somebody or something, as it may be printed and typed: one line, nothing unsafe, never blank. What is put for
// unsafe characters is longer than they are: it is cut to whole characters of kGroupNameMax bytes.
std::string SafeName(const std::string& name) {
  std::string safe = base::SanitizeForTerminal(base::AsBytes(name)).text;
  std::replace(safe.begin(), safe.end(), '\n', ' ');
  size_t end = std::min(safe.size(), kGroupNameMax);
  while (end > 0 && end < safe.size() && (static_cast<uint8_t>(safe[end]) & 0xc0) == 0x80) --end;
  safe.resize(end);
  return safe.find_first_not_of(' ') == safe.npos ? "?" : safe;
}

// Writers choose ids, and all members know them: no two texts may have one on our disk, nor may anybody reckon one, or a member
// could send something of the same id in a conversation, and whichever comes second would be passed over.
MessageId LocalId(base::ByteView secret, const GroupId& group, const keys::PublicKey& member, const Incoming& one) {
  const base::Bytes seq = base::ByteWriter().U32(one.seq).Take();
  const keys::Digest digest = keys::KeyedHash(secret, "group-message-id", {group.view(), member.view(), one.id, seq});
  MessageId local;
  std::copy_n(digest.begin(), local.size(), local.begin());
  return local;
}

}  // namespace

const GroupMember* Group::Find(const keys::PublicKey& key) const {
  const auto it = std::find_if(members.begin(), members.end(), [&](const GroupMember& one) { return one.key == key; });
  return it == members.end() ? nullptr : &*it;
}

// ---- what a person does

absl::StatusOr<GroupId> GroupBook::Create(const std::string& name, const std::vector<GroupMember>& others,
                                          const std::string& own_name, absl::Time wall_now) {
  if (!IsName(name) || others.empty()) return absl::InvalidArgumentError("a group has a name of 1 to 64 bytes, and members");
  if (FindName(name) != nullptr) return absl::AlreadyExistsError("the name is taken");
  if (rooms_.size() >= kGroupsMax) return absl::ResourceExhaustedError("too many groups");
  Group group{GroupIdOf(options_.self, rng_.Array<16>()),
              Group::State::kMember,
              name,
              options_.self,
              0,
              {{options_.self, own_name.substr(0, kGroupNameMax), 1}}};
  Room& room = NewRoom(std::move(group));
  room.writer.emplace(0, static_cast<uint64_t>(absl::ToUnixSeconds(wall_now)), rng_);
  const GroupId id = room.group.id;
  const absl::Status added = Add(id, others, wall_now);
  if (!added.ok()) {
    rooms_.erase(id);
    return added;
  }
  return id;
}

absl::StatusOr<GroupBook::Room*> GroupBook::Own(const GroupId& id) {
  const auto it = rooms_.find(id);
  if (it == rooms_.end()) return absl::NotFoundError("no such group");
  const Group& group = it->second.group;
  if (group.state != Group::State::kMember || group.creator != options_.self)
    return absl::FailedPreconditionError("only its creator changes who is in a group");
  return &it->second;
}

absl::Status GroupBook::Add(const GroupId& id, const std::vector<GroupMember>& others, absl::Time wall_now) {
  ASSIGN_OR_RETURN(Room* const room, Own(id));
  GroupAnnouncement next{id, room->group.epoch + 1, room->group.name, room->group.members};
  for (const GroupMember& one : others) next.members.push_back({one.key, one.name, next.epoch});
  if (next.members.size() > kGroupMembersMax) return absl::ResourceExhaustedError("a group has 32 members at most");
  if (!DecodeGroupControl(EncodeGroupControl(next)).ok()) return absl::InvalidArgumentError("somebody is a member already");
  SealForPresent(*room, wall_now);
  for (const GroupMember& one : others) room->peers[one.key].asked = wall_now;
  peers_changed_ = true;
  room->group.epoch = next.epoch;
  room->group.members = std::move(next.members);
  room->changed = true;
  return absl::OkStatus();
}

absl::Status GroupBook::Remove(const GroupId& id, const keys::PublicKey& member, absl::Time wall_now) {
  ASSIGN_OR_RETURN(Room* const room, Own(id));
  if (member == options_.self || room->group.Find(member) == nullptr) return absl::NotFoundError("no such member");
  std::vector<GroupMember> members = room->group.members;
  std::erase_if(members, [&](const GroupMember& one) { return one.key == member; });
  Say(member, GroupFarewell{id, true, ++room->group.epoch});
  SetMembers(*room, std::move(members), wall_now);
  return absl::OkStatus();
}

absl::Status GroupBook::Accept(const GroupId& id, absl::Time wall_now) {
  const auto it = rooms_.find(id);
  if (it == rooms_.end()) return absl::NotFoundError("no such group");
  Room& room = it->second;
  if (room.group.state != Group::State::kInvited) return absl::FailedPreconditionError("there is no invitation to this group");
  room.group.state = Group::State::kMember;
  room.writer.emplace(0, static_cast<uint64_t>(absl::ToUnixSeconds(wall_now)), rng_);
  // Whose chain did not come by now may believe that we have it: from when we were in this group before.
  for (auto& [key, peer] : room.peers) peer.asked = absl::InfinitePast();
  room.changed = peers_changed_ = true;
  return absl::OkStatus();
}

absl::Status GroupBook::Leave(const GroupId& id) {
  const auto it = rooms_.find(id);
  if (it == rooms_.end()) return absl::NotFoundError("no such group");
  for (const auto& [key, peer] : it->second.peers) Say(key, GroupFarewell{id, false, it->second.group.epoch});
  std::erase_if(left_, [&](const Left& one) { return one.group == id; });
  left_.push_back({id, it->second.group.epoch});
  if (left_.size() > kLeftMax) left_.pop_front();
  left_changed_ = true;
  Forget(it);
  return absl::OkStatus();
}

absl::StatusOr<MessageId> GroupBook::Send(const GroupId& id, base::Bytes text, absl::Time wall_now) {
  const auto it = rooms_.find(id);
  if (it == rooms_.end()) return absl::NotFoundError("no such group");
  if (it->second.group.state != Group::State::kMember) return absl::FailedPreconditionError("you are not in this group");
  if (text.size() > kTextMax) return absl::OutOfRangeError("the text is too long");
  return it->second.outbox.Enqueue(std::move(text), it->second.group.life, wall_now, rng_);
}

void GroupBook::SetLife(const GroupId& id, uint8_t code) {
  Room& room = rooms_.at(id);
  room.group.life = code;
  room.changed = true;
}

bool GroupBook::Disappear(absl::Time wall_now) {
  bool any = false;
  for (auto& [id, room] : rooms_) {
    any = any || room.outbox.HasDisappearing(wall_now);
    ChangeStates(id, room.outbox.Disappear(wall_now));
  }
  return any;
}

absl::Status GroupBook::Restore(Group group, absl::Time wall_now) {
  const bool is_sound = group.state == Group::State::kMember && group.Find(options_.self) != nullptr;
  if (!is_sound || !IsGroupOf(group.id, group.creator) || rooms_.contains(group.id))
    return absl::FailedPreconditionError("no group to be restored");
  if (rooms_.size() >= kGroupsMax) return absl::ResourceExhaustedError("too many groups");
  Room& room = NewRoom(std::move(group));
  room.writer.emplace(0, static_cast<uint64_t>(absl::ToUnixSeconds(wall_now)), rng_);
  for (auto& [key, peer] : room.peers) peer.announced = room.group.epoch;
  return absl::OkStatus();
}

// ---- rooms

GroupBook::Room& GroupBook::NewRoom(Group group) {
  const GroupId id = group.id;
  Room& room = rooms_.try_emplace(id, options_.write_quorum).first->second;
  room.group = std::move(group);
  peers_changed_ = true;
  for (const GroupMember& member : room.group.members) {
    if (member.key != options_.self) room.peers.try_emplace(member.key);
  }
  return room;
}

std::string GroupBook::FreeName(const std::string& name, const GroupId& id) const {
  const Group* taken = FindName(name);
  if (taken == nullptr || taken->id == id) return name;
  return absl::StrCat(name, "#", base::ToHex(id.view().first(6)));
}

void GroupBook::SetMembers(Room& room, std::vector<GroupMember> members, absl::Time wall_now) {
  room.changed = peers_changed_ = true;
  // Gone, or gone and come again: another member, to whom nothing of before belongs.
  const auto is_gone = [&, list = Group{.members = members}](const auto& one) {
    const GroupMember* now = list.Find(one.first);
    const GroupMember* before = room.group.Find(one.first);
    return now == nullptr || (before != nullptr && now->since > before->since);
  };
  std::set<keys::PublicKey> gone;
  for (const auto& one : room.peers) {
    if (is_gone(one)) gone.insert(one.first);
  }
  // What was written before somebody came is not for them; before somebody went, it is only for those who stay: in a fresh chain.
  if (room.writer && gone.empty()) SealForPresent(room, wall_now);
  for (const keys::PublicKey& key : gone) {
    Part(key, room.group.id);
    room.peers.erase(key);
    gone_.push_back({kFeedEntry, NameOf(room.group.id, key), std::nullopt});
    const bool tells = room.group.state == Group::State::kMember && room.group.creator != options_.self;
    if (tells) Note(GroupNotice::Kind::kLeft, room.group.id, key);
  }
  room.group.members = std::move(members);
  for (const GroupMember& member : room.group.members) {
    if (member.key == options_.self) continue;
    const auto [peer, is_new] = room.peers.try_emplace(member.key);
    if (is_new) peer->second.asked = wall_now;
    if (is_new && room.group.state == Group::State::kMember) Note(GroupNotice::Kind::kJoined, room.group.id, member.key);
  }
  if (!gone.empty() && room.writer) Renew(room, room.writer->next(), wall_now);
}

// A fresh chain: whoever is told of it from now on reads what is written from now on.
void GroupBook::Renew(Room& room, uint32_t first, absl::Time wall_now) {
  const uint64_t made = std::max(static_cast<uint64_t>(absl::ToUnixSeconds(wall_now)), room.writer->Tell().made + 1);
  room.writer.emplace(first, made, rng_);
  room.changed = true;
}

void GroupBook::ForgetOutbox(Room& room) {
  for (const auto& [number, message] : room.outbox.messages())
    gone_.push_back({kGroupMessageEntry, NameOf(room.group.id, number), std::nullopt});
  for (const auto& [seq, parcel] : room.outbox.parcels())
    gone_.push_back({kGroupParcelEntry, NameOf(room.group.id, seq), std::nullopt});
  for (const auto& [key, peer] : room.peers) {
    gone_.push_back({kFeedEntry, NameOf(room.group.id, key), std::nullopt});
    Part(key, room.group.id);
  }
}

void GroupBook::Part(const keys::PublicKey& from, const GroupId& group) {
  parted_.emplace_back(from, group);
  std::erase_if(controls_, [&](const Told& one) { return one.to == from && TellsOf(one.bytes, group); });
}

void GroupBook::Forget(std::map<GroupId, Room>::iterator it) {
  ForgetOutbox(it->second);
  gone_.push_back({kGroupEntry, NameOf(it->first), std::nullopt});
  peers_changed_ = true;
  rooms_.erase(it);
}

// By the list of `epoch` we are not in it: its creator says so, or that it put us in by a later one. Of an invitation nothing is
// left; of a group its name, for what was said in it.
void GroupBook::End(std::map<GroupId, Room>::iterator it, uint32_t epoch) {
  Room& room = it->second;
  if (room.group.state == Group::State::kInvited) return Forget(it);  // nobody was in it
  Note(GroupNotice::Kind::kEnded, room.group.id, room.group.creator);
  Group group = room.group;
  group.epoch = std::max(group.epoch, std::min(epoch, kEpochMax));
  group.state = Group::State::kEnded;
  group.members.clear();
  for (const auto& [number, message] : room.outbox.messages()) {
    if (message.state == DeliveryState::kQueued) states_.push_back({group.id, {message.id, DeliveryState::kExpired}});
  }
  Forget(it);
  gone_.pop_back();  // the group's own entry is written anew
  NewRoom(std::move(group));
}

const Group* GroupBook::Find(const GroupId& id) const {
  const auto it = rooms_.find(id);
  return it == rooms_.end() ? nullptr : &it->second.group;
}

const Group* GroupBook::FindName(const std::string& name) const {
  for (const auto& [id, room] : rooms_) {
    if (room.group.name == name) return &room.group;
  }
  return nullptr;
}

std::vector<const Group*> GroupBook::All() const {
  std::vector<const Group*> all;
  for (const auto& [id, room] : rooms_) all.push_back(&room.group);
  std::sort(all.begin(), all.end(), [](const Group* a, const Group* b) { return a->name < b->name; });
  return all;
}

const Outbox* GroupBook::FindOutbox(const GroupId& id) const {
  const auto it = rooms_.find(id);
  return it == rooms_.end() ? nullptr : &it->second.outbox;
}

std::set<keys::PublicKey> GroupBook::Peers() const {
  std::set<keys::PublicKey> peers;
  for (const auto& [id, room] : rooms_) {
    const bool is_invited = room.group.state == Group::State::kInvited;
    for (const auto& [key, peer] : room.peers) {
      if (!is_invited || key == room.group.creator) peers.insert(key);
    }
  }
  return peers;
}

bool GroupBook::IsInvitedWith(const keys::PublicKey& key) const {
  return std::any_of(rooms_.begin(), rooms_.end(), [&](const auto& one) {
    return one.second.group.state == Group::State::kInvited && one.second.peers.contains(key);
  });
}

// ---- what others say

void GroupBook::OnControl(const keys::PublicKey& from, base::ByteView bytes, absl::Time wall_now) {
  auto control = DecodeGroupControl(bytes);
  if (!control.ok()) return;
  std::visit(base::Overloaded{[&](GroupAnnouncement& one) { OnAnnouncement(from, std::move(one), wall_now); },
                              [&](const GroupChainTold& one) { OnChain(from, one, wall_now); },
                              [&](const GroupFarewell& one) { OnFarewell(from, one, wall_now); }},
             *control);
}

void GroupBook::OnControlExpired(const keys::PublicKey& peer) {
  for (auto& [id, room] : rooms_) {
    const auto it = room.peers.find(peer);
    if (it == room.peers.end()) continue;
    it->second.told = {};
    it->second.announced = 0;
    room.changed = true;
  }
}

void GroupBook::OnAnnouncement(const keys::PublicKey& from, GroupAnnouncement announcement, absl::Time wall_now) {
  if (!IsGroupOf(announcement.group, from)) return;
  Group next{announcement.group, Group::State::kInvited, "", from, announcement.epoch, std::move(announcement.members)};
  if (next.Find(from) == nullptr || next.Find(options_.self) == nullptr || next.epoch > kEpochMax) return;
  next.name = FreeName(SafeName(announcement.name), next.id);
  for (GroupMember& member : next.members) member.name = SafeName(member.name);
  auto held = rooms_.find(next.id);
  if (held != rooms_.end() && next.epoch > held->second.group.epoch) {
    const uint32_t since = next.Find(options_.self)->since;
    const GroupMember* before = held->second.group.Find(options_.self);
    if (before != nullptr && since > before->since) End(held, since - 1);  // its farewell is still on the way
    held = rooms_.find(next.id);
  }
  if (held == rooms_.end()) {
    if (next.epoch <= EpochWeWentAt(next.id)) return;
    if (rooms_.size() >= kGroupsMax || !HasRoomForInvitationOf(from)) return Note(GroupNotice::Kind::kUnheard, {}, from);
    Note(GroupNotice::Kind::kInvited, next.id, from);
    return TakeEarly(NewRoom(std::move(next)), wall_now);
  }
  Room& room = held->second;
  if (room.group.creator != from || next.epoch <= room.group.epoch) return;
  if (room.group.state == Group::State::kEnded && !HasRoomForInvitationOf(from))
    return Note(GroupNotice::Kind::kUnheard, {}, from);
  room.group.epoch = next.epoch;
  if (room.group.state == Group::State::kEnded) {
    room.group.state = Group::State::kInvited;
    Note(GroupNotice::Kind::kInvited, next.id, from);
  }
  SetMembers(room, std::move(next.members), wall_now);
  TakeEarly(room, wall_now);
}

bool GroupBook::HasRoomForInvitationOf(const keys::PublicKey& creator) const {
  size_t waiting = 0, of_one = 0;
  for (const auto& [id, room] : rooms_) {
    if (room.group.state != Group::State::kInvited) continue;
    ++waiting;
    of_one += room.group.creator == creator ? 1 : 0;
  }
  return waiting < kInvitationsMax && of_one < kInvitationsOfOneMax;
}

void GroupBook::OnFarewell(const keys::PublicKey& from, const GroupFarewell& farewell, absl::Time wall_now) {
  const auto it = rooms_.find(farewell.group);
  if (it == rooms_.end() || !it->second.peers.contains(from)) return;
  Room& room = it->second;
  if (farewell.removed) {
    const GroupMember* self = room.group.Find(options_.self);
    if (room.group.creator == from && self != nullptr && farewell.epoch >= self->since) End(it, farewell.epoch);
    return;
  }
  if (farewell.epoch < room.group.Find(from)->since) return;  // it went before, and is in it again
  std::vector<GroupMember> members = room.group.members;
  std::erase_if(members, [&](const GroupMember& one) { return one.key == from; });
  if (room.group.creator == options_.self) {
    Note(GroupNotice::Kind::kLeft, room.group.id, from);
    Say(from,
        GroupFarewell{room.group.id, true, ++room.group.epoch});  // a list that crossed its farewell may have invited it anew
  }
  SetMembers(room, std::move(members), wall_now);
}

// ---- work

void GroupBook::Advance(absl::Time wall_now) {
  for (auto& [id, room] : rooms_) {
    if (room.group.state != Group::State::kMember) continue;
    room.outbox.RetireStored(wall_now, kGroupParcelsKept);
    // Nothing will ever lie at the places that these were sealed for.
    if (const auto next = room.outbox.Unseal(wall_now)) Renew(room, *next, wall_now);
    bool broken = false;
    ChangeStates(id, room.outbox.Expire(wall_now, broken));
    ChangeStates(id, room.outbox.Disappear(wall_now));
    Hear(room, wall_now);
    Tell(room, wall_now);
    SealTexts(room, wall_now);  // what was written is for all who are told of it now
  }
}

// What has come of the others' texts.
void GroupBook::Hear(Room& room, absl::Time wall_now) {
  const GroupId& id = room.group.id;
  for (auto& [key, peer] : room.peers) {
    GroupFeed::News news = peer.feed.Advance(wall_now);
    for (Incoming& one : news.arrived) {
      Message message;
      message.id = LocalId(options_.id_secret.view(), id, key, one);
      message.text = std::move(one.text);
      message.sent_hour = one.sent_hour;
      message.from = key;
      message.group = id;
      message.received = wall_now;
      message.in_conversation = true;
      message.late = one.late;
      message.life = one.life;
      arrived_.push_back(std::move(message));
    }
    if (news.restarted) {
      Note(GroupNotice::Kind::kRestarted, id, key);
      peer.told = {};  // it lost ours too
      room.changed = true;
    }
    if (news.lost > 0) Note(GroupNotice::Kind::kLost, id, key, news.lost);
  }
}

void GroupBook::Tell(Room& room, absl::Time wall_now) {
  const Group& group = room.group;
  for (auto& [key, peer] : room.peers) {
    peer.asked = std::min(peer.asked, wall_now);  // set while the clock was ahead
    const bool wants = peer.feed.known() ? std::max(peer.feed.heard(), peer.asked) + kGroupSilence <= wall_now
                                         : peer.asked + kGroupAskAgain <= wall_now;
    if (group.creator == options_.self && (peer.announced != group.epoch || wants)) {
      Say(key, GroupAnnouncement{group.id, group.epoch, group.name, group.members});
      peer.announced = group.epoch;
      room.changed = true;
    }
    if (!wants && peer.told == room.writer->writer()) continue;
    Say(key, GroupChainTold{group.id, group.epoch, wants, room.writer->Tell()});
    peer.told = room.writer->writer();
    if (wants) peer.asked = wall_now;
    room.changed = true;
  }
}

// What was written so far is for all who are in it now: who does not know our chain is told where it begins.
void GroupBook::SealForPresent(Room& room, absl::Time wall_now) {
  if (room.outbox.NextUnsealed() == nullptr) return;
  Tell(room, wall_now);
  SealTexts(room, wall_now);
}

void GroupBook::SealTexts(Room& room, absl::Time wall_now) {
  while (const Outgoing* message = room.outbox.NextUnsealed()) {
    const absl::Time expiry = BoxExpiry(wall_now);
    const uint64_t number = message->number;
    const size_t size = message->text.size();
    const auto count = static_cast<uint16_t>(std::max<size_t>(1, (size + kGroupTextMax - 1) / kGroupTextMax));
    const uint32_t first = room.writer->next();
    for (uint16_t i = 0; i < count; ++i) {
      const auto begin = message->text.begin() + static_cast<ptrdiff_t>(i * kGroupTextMax);
      const auto end = message->text.begin() + static_cast<ptrdiff_t>(std::min(size, (i + 1) * kGroupTextMax));
      Content content{.kind = ContentKind::kText, .message_id = message->id, .index = i, .count = count};
      content.life = message->life;
      content.sent_hour = HourOf(message->queued_at);
      content.text.assign(begin, end);
      Parcel parcel{.seq = room.writer->next(), .expiry = expiry, .due = wall_now};
      const Box box = room.writer->Seal(room.group.id, options_.self, std::move(content), options_.network, expiry, rng_);
      parcel.body = EncodeBox(box);
      parcel.first_place = FirstBoxPlace(box.key);
      room.outbox.AddParcel(std::move(parcel));
    }
    room.outbox.MarkSealed(number, first, count, expiry);
    room.changed = true;
  }
}

std::vector<GroupBook::Put> GroupBook::Puts(absl::Time wall_now, size_t at_most) {
  std::vector<Put> puts;
  for (auto& [id, room] : rooms_) {
    for (const Parcel* parcel : room.outbox.Due(wall_now, at_most - puts.size())) {
      puts.push_back({id, parcel->seq, ParcelRecord(*parcel, parcel->NextPlace())});
    }
  }
  return puts;
}

// The same once more is one notice: what others send is as long as they like.
void GroupBook::Note(GroupNotice::Kind kind, const GroupId& group, const keys::PublicKey& peer, uint32_t count) {
  if (!notices_.empty()) {
    GroupNotice& last = notices_.back();
    if (last.kind == kind && last.group == group && last.peer == peer) {
      last.count += count;
      return;
    }
  }
  notices_.push_back({kind, group, peer, count});
}

void GroupBook::ChangeStates(const GroupId& group, const std::vector<StateChange>& changes) {
  for (const StateChange& change : changes) states_.push_back({group, change});
}

void GroupBook::OnPut(const GroupId& group, uint32_t seq, uint8_t copies, absl::Time wall_now) {
  const auto it = rooms_.find(group);
  if (it != rooms_.end()) ChangeStates(group, it->second.outbox.OnPut(seq, copies, wall_now));
}

absl::Time GroupBook::NextDue() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, room] : rooms_) next = std::min(next, room.outbox.NextDue());
  return next;
}

std::vector<keys::PublicKey> GroupBook::Chains(const std::optional<GroupId>& only, absl::Time wall_now) const {
  std::vector<keys::PublicKey> chains;
  for (const auto& [id, room] : rooms_) {
    if ((only && *only != id) || room.group.state != Group::State::kMember) continue;
    for (const auto& [key, peer] : room.peers) {
      const auto its = peer.feed.Chains(wall_now);
      chains.insert(chains.end(), its.begin(), its.end());
    }
  }
  return chains;
}

std::vector<GroupBook::Read> GroupBook::BeginRound(const std::optional<keys::PublicKey>& only, absl::Time wall_now) {
  std::vector<Read> reads;
  for (auto& [id, room] : rooms_) {
    if (room.group.state != Group::State::kMember) continue;
    for (auto& [key, peer] : room.peers) {
      for (const keys::PublicKey& chain : peer.feed.Chains(wall_now)) {
        if (only && *only != chain) continue;
        for (Probe& probe : peer.feed.BeginRound(chain)) reads.push_back({id, key, chain, std::move(probe)});
      }
    }
  }
  return reads;
}

std::vector<GroupBook::Read> GroupBook::OnRead(const Read& read, const std::optional<base::Bytes>& body, absl::Time wall_now) {
  const auto it = rooms_.find(read.group);
  if (it == rooms_.end()) return {};
  const auto peer = it->second.peers.find(read.member);
  if (peer == it->second.peers.end()) return {};
  GroupFeed& feed = peer->second.feed;
  const auto box = body ? DecodeBox(*body) : absl::NotFoundError("");
  const bool is_sound = box.ok() && box->key == read.probe.box_key && VerifyBox(*box, options_.network);
  std::vector<Read> reads;
  for (Probe& probe : is_sound ? feed.OnFound(read.group, read.member, read.chain, read.probe, *box, wall_now)
                               : feed.OnAbsent(read.chain, read.probe)) {
    reads.push_back({read.group, read.member, read.chain, std::move(probe)});
  }
  return reads;
}

}  // namespace chat
