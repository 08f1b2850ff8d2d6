// SPDX-License-Identifier: Apache-2.0
// GroupBook's chains that were told before the list that names their writer.
#include <algorithm>
#include <map>
#include <utility>

#include "chat/group_book.h"

namespace chat {

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
    if (one.told.group == room.group.id && room.peers.contains(one.from)) {
      OnChain(one.from, one.told, wall_now);
    } else {
      early_.push_back(std::move(one));
    }
  }
}

}  // namespace chat
