// SPDX-License-Identifier: Apache-2.0
// What a contact book has to do with groups: who their members are to it, and what goes to them and comes from them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "chat/contact_book.h"
#include "chat/contact_entries.h"

namespace chat {

absl::StatusOr<std::vector<GroupMember>> ContactBook::MembersOf(const std::vector<keys::PublicKey>& others) const {
  std::vector<GroupMember> members;
  for (const keys::PublicKey& key : others) {
    const auto it = contacts_.find(key);
    if (it == contacts_.end() || it->second.name.empty()) {
      return absl::FailedPreconditionError("members of a group are contacts whose address you have");
    }
    const Contact& contact = it->second;
    const char* const unfit = contact.reply || contact.doorless ? "is known by a note alone, and has no address for others"
                              : contact.changed_key             ? "has another key now: compare words first"
                              : IsBlocked(key)                  ? "is blocked"
                                                                : nullptr;
    if (unfit != nullptr) return absl::FailedPreconditionError(absl::StrCat(contact.name, " ", unfit));
    members.push_back({key, contact.name});
  }
  return members;
}

absl::StatusOr<GroupId> ContactBook::CreateGroup(const std::string& name, const std::vector<keys::PublicKey>& others,
                                                 const std::string& own_name, absl::Time wall_now) {
  ASSIGN_OR_RETURN(const std::vector<GroupMember> members, MembersOf(others));
  return groups_.Create(name, members, own_name, wall_now);
}

absl::Status ContactBook::AddToGroup(const GroupId& id, const std::vector<keys::PublicKey>& others, absl::Time wall_now) {
  ASSIGN_OR_RETURN(const std::vector<GroupMember> members, MembersOf(others));
  const Group* group = groups_.Find(id);
  for (const GroupMember& one : members) {
    if (group != nullptr && group->creator == self_.public_key() && group->Find(one.key) != nullptr) {
      return absl::AlreadyExistsError(absl::StrCat(one.name, " is in it"));
    }
  }
  return groups_.Add(id, members, wall_now);
}

absl::StatusOr<MessageId> ContactBook::SendToGroup(const GroupId& id, base::Bytes text, absl::Time wall_now) {
  Message message;
  message.text = text;
  ASSIGN_OR_RETURN(message.id, groups_.Send(id, std::move(text), wall_now));
  message.sent_hour = HourOf(wall_now);
  message.from = message.group = id;
  message.received = wall_now;
  message.in_conversation = message.own = true;
  message.life = groups_.Find(id)->life;
  written_.push_back(std::move(message));
  return written_.back().id;
}

absl::StatusOr<keys::PublicKey> ContactBook::FindMember(const Group& group, const std::string& typed) const {
  const Contact* contact = FindName(typed);
  if (contact != nullptr && group.Find(contact->key) != nullptr) return contact->key;
  const auto is_it = [&](const GroupMember& one) { return one.name == typed; };
  const auto it = std::find_if(group.members.begin(), group.members.end(), is_it);
  if (it == group.members.end() || std::count_if(it, group.members.end(), is_it) > 1)
    return absl::NotFoundError("no such member");
  return it->key;
}

// What came over the pairwise sessions, and what is to go over them: all in one change, so that nothing is said twice or not at
// all.
void ContactBook::ExchangeControls(absl::Time wall_now) {
  for (auto& [key, conversation] : conversations_) {
    const bool is_self = conversation.peer() == key;  // else the peer writes to an identity that was made for a note
    for (const base::Bytes& control : conversation.TakeControls()) {
      if (is_self) groups_.OnControl(key, control, wall_now);
    }
    if (conversation.TakeControlExpired()) groups_.OnControlExpired(key);
  }
  members_changed_ = groups_.TakePeersChanged() || members_changed_ || !forgotten_.empty();
  if (members_changed_) MeetMembers(groups_.Peers());
  for (const auto& [peer, group] : groups_.TakeParted()) {
    const auto it = conversations_.find(peer);
    if (it != conversations_.end()) it->second.WithdrawControls(group);
  }
  for (GroupBook::Told& one : groups_.TakeControls()) {
    const auto it = conversations_.find(one.to);
    if (it == conversations_.end() || it->second.standing() == Standing::kBlocked) continue;
    // No room for it: who misses it asks (kGroupSilence).
    it->second.SendControl(std::move(one.bytes), wall_now, rng_).IgnoreError();
  }
  if (members_changed_) members_changed_ = DropStrangers(groups_.Peers());
}

// Members of groups who are no contacts have a session of their own.
void ContactBook::MeetMembers(const std::set<keys::PublicKey>& members) {
  const std::set<keys::PublicKey> forgotten = std::exchange(forgotten_, {});
  for (const keys::PublicKey& key : members) {
    // Whoever makes a group decides how many are in it: beyond that they are not met, and their chains not known.
    if (!contacts_.contains(key) && contacts_.size() >= kContactsMax) continue;
    const auto [contact, is_new] = contacts_.try_emplace(key);
    if (is_new) {
      contact->second.key = key;
      Touch(key);
    }
    Conversation& conversation = ConversationWith(key, Standing::kMember);
    // In a group that we shared before it had a session with us, which one of us forgot; what it asks with may be older than the
    // one that it has.
    const bool asks = contact->second.name.empty() && conversation.standing() == Standing::kAsked;
    if (is_new || asks) conversation.Rebuild();
    if (is_new && forgotten.contains(key)) groups_.OnControlExpired(key);  // what waited for it went with its conversation
    if (asks) conversation.SetStanding(Standing::kMember);
  }
}

// Who shares no group with us any more goes once all that was to be told is told; whom we never had a session with goes at once:
// without one nothing expires. Who has written becomes a request. True if somebody is left to go, or who did made room.
bool ContactBook::DropStrangers(const std::set<keys::PublicKey>& members) {
  std::vector<keys::PublicKey> strangers;
  bool left = false;
  for (auto& [key, conversation] : conversations_) {
    if (conversation.standing() != Standing::kMember || members.contains(key)) continue;
    const auto& messages = conversation.outbox().messages();
    const bool is_done = !conversation.has_session() ||
                         std::all_of(messages.begin(), messages.end(), [](const auto& one) { return one.second.Final(); });
    if (conversation.asks()) {
      conversation.SetStanding(Standing::kAsked);
    } else if (is_done) {
      strangers.push_back(key);
    } else {
      left = true;
    }
  }
  for (const keys::PublicKey& key : strangers) {
    Remove(key).IgnoreError();
    forgotten_.erase(key);
  }
  return left || !strangers.empty();
}

void ContactBook::AddGroupReads(std::vector<GroupBook::Read> reads, bool brief) {
  for (GroupBook::Read& read : reads) {
    const overlay::NodeId point = read.probe.point;
    const bool in_focus = focus_ == read.group;
    AddTask({0, point, ReadRequest{dht::Kind::kBox, point}, {}, {}, in_focus}, GroupRead{std::move(read), brief});
  }
}

void ContactBook::AddGroupPuts(absl::Time wall_now, size_t at_most, std::vector<BookTask>& tasks) {
  for (const GroupBook::Put& put : groups_.Puts(wall_now, at_most - std::min(at_most, tasks.size()))) {
    tasks.push_back(PutTask(put.record, GroupPut{put.group, put.seq}));
  }
}

void ContactBook::SaveGroups(Change& change) {
  GroupBook::Change groups = groups_.TakeChange();
  for (BookEntry& entry : groups.entries) change.inbox.book.push_back(std::move(entry));
  for (Message& message : groups.arrived) {
    if (!IsBlocked(*message.from)) change.inbox.messages.push_back(std::move(message));
  }
  for (const GroupNotice& notice : groups.notices) {
    change.notices.push_back({static_cast<BookNotice::Kind>(notice.kind), notice.peer, notice.count, {}});
    if (notice.kind != GroupNotice::Kind::kUnheard) change.notices.back().group = notice.group;
  }
  for (const GroupBook::Change::State& state : groups.states) {
    change.states.push_back({state.group, state.change});
    if (state.change.state == DeliveryState::kStored) change.inbox.fates.emplace_back(state.change.id, Fate::kStored);
    if (state.change.state == DeliveryState::kExpired) change.inbox.fates.emplace_back(state.change.id, Fate::kExpired);
  }
}

}  // namespace chat
