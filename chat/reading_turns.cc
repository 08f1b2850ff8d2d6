// SPDX-License-Identifier: Apache-2.0
#include "chat/reading_turns.h"

#include <algorithm>
#include <utility>

namespace chat {

std::optional<ReadingTurn> ReadingTurns::Next(const std::vector<keys::PublicKey>& contacts,
                                              const std::optional<keys::PublicKey>& focus, absl::Time now) {
  if (turns_ >= kTurnsPerUpkeep || now >= upkeep_due_) {
    turns_ = 0;
    upkeep_due_ = contacts.empty() ? now + kUpkeepEvery : absl::InfiniteFuture();
    return ReadingTurn{};
  }
  if (contacts.empty()) {
    upkeep_due_ = std::min(upkeep_due_, now + kUpkeepEvery);  // the last contact may have gone since it was set
    return std::nullopt;
  }
  ++turns_;
  const bool brief = rng_.Below(3) != 0;
  const bool has_focus = focus.has_value() && std::binary_search(contacts.begin(), contacts.end(), *focus);
  if (has_focus && std::exchange(focus_next_, !focus_next_)) return ReadingTurn{focus, brief};
  const auto after = last_ ? std::upper_bound(contacts.begin(), contacts.end(), *last_) : contacts.begin();
  last_ = after == contacts.end() ? contacts.front() : *after;
  return ReadingTurn{last_, brief};
}

}  // namespace chat
