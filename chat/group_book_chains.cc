// SPDX-License-Identifier: Apache-2.0
// What GroupBook does with a chain that it is told: of a member, of one who is none, and before the list that names its writer.
#include <algorithm>
#include <map>
#include <utility>

#include "chat/group_book.h"

namespace chat {

namespace {

// A list of which somebody knows, and we do not: no further than a creator's changes since a backup.
bool IsAhead(uint32_t epoch, uint32_t ours) { return epoch > ours && epoch - ours <= kEpochStepMax && epoch < kEpochMax; }

}  // namespace

void GroupBook::OnChain(const keys::PublicKey& from, const GroupChainTold& told, absl::Time wall_now) {
  const auto it = rooms_.find(told.group);
  if (it == rooms_.end()) return OnChainOfNoMember(from, told);
  Room& room = it->second;
  const auto peer = room.peers.find(from);
  if (peer == room.peers.end()) return OnChainOfNoMember(from, told);
  const bool is_own = room.group.creator == options_.self;
  const bool is_of_before =
      told.epoch < std::max(room.group.Find(from)->since, room.group.Find(options_.self)->since);  // one of them was out since
  // A newer list than ours: we may have been taken out meanwhile, which will be told, and then this is needed once more.
  if (!is_own && told.epoch > room.group.epoch) KeepEarly(from, told);
  if (!is_of_before) peer->second.feed.TakeChain(told.chain, wall_now);
  // What the feed lets go of for it is saved together with it.
  if (room.group.state == Group::State::kMember) Hear(room, wall_now);
  if (told.wants) {
    peer->second.told = {};
    if (is_own && told.epoch < room.group.epoch) peer->second.announced = 0;
    room.changed = true;
  }
  if (!is_own || !IsAhead(told.epoch, room.group.epoch)) return;
  const uint32_t old = std::exchange(room.group.epoch, told.epoch);
  for (auto& [key, other] : room.peers) {
    if (other.announced == old) other.announced = told.epoch;  // the others are still to be told
  }
  room.changed = true;
  Note(GroupNotice::Kind::kStale, told.group, from);
}

// Who tells it goes by a list that is not ours: by an old one, if this is our group or we went from it; else by one that is
// not here yet, for which it is kept.
void GroupBook::OnChainOfNoMember(const keys::PublicKey& from, const GroupChainTold& told) {
  const Group* group = Find(told.group);
  if (group != nullptr && group->creator == options_.self) {
    // Whom our own list, out of an old backup, does not name yet is not sent away.
    if (IsAhead(told.epoch, group->epoch)) return Note(GroupNotice::Kind::kStale, told.group, from);
    return Say(from, GroupFarewell{told.group, true, group->epoch});
  }
  const uint32_t went_at = EpochWeWentAt(told.group);
  if (told.epoch <= went_at) return Say(from, GroupFarewell{told.group, false, went_at});
  if (group != nullptr && told.epoch <= group->epoch) return;  // it was in it before, and is not
  KeepEarly(from, told);
}

// Of the list that we knew when we left the group, or were removed; 0: neither.
uint32_t GroupBook::EpochWeWentAt(const GroupId& id) const {
  if (const Group* group = Find(id)) return group->state == Group::State::kEnded ? group->epoch : 0;
  const auto left = std::find_if(left_.begin(), left_.end(), [&](const Left& one) { return one.group == id; });
  return left == left_.end() ? 0 : left->epoch;
}

// No sender pushes out what others told: whoever has most gives way.
void GroupBook::KeepEarly(const keys::PublicKey& from, const GroupChainTold& told) {
  early_changed_ = true;
  std::erase_if(early_, [&](const Early& one) { return one.from == from && one.told.chain.writer == told.chain.writer; });
  early_.push_back({from, told});
  early_.back().told.wants = false;  // it is told ours when it is a member, or has been
  if (early_.size() <= kEarlyMax) return;
  std::map<keys::PublicKey, size_t> of;
  for (const Early& one : early_) ++of[one.from];
  const auto most = std::max_element(of.begin(), of.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  early_.erase(std::find_if(early_.begin(), early_.end(), [&](const Early& one) { return one.from == most->first; }));
}

// What came before it was known what it belongs to.
void GroupBook::TakeEarly(Room& room, absl::Time wall_now) {
  std::deque<Early> all = std::exchange(early_, {});
  early_changed_ = early_changed_ || !all.empty();
  for (Early& one : all) {
    if (one.told.group == room.group.id) {
      OnChain(one.from, one.told, wall_now);
    } else {
      early_.push_back(std::move(one));
    }
  }
}

}  // namespace chat
