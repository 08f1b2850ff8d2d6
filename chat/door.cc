// SPDX-License-Identifier: Apache-2.0
#include "chat/door.h"

#include <algorithm>

#include "base/status_macros.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr int64_t kSecondsPerDay = 86400;

// Where the walk over days begins, before it is held to the limits: the day before something happened.
int64_t FirstDay(const PollHistory& history, int64_t today) {
  if (history.last_complete) return int64_t{DayOf(*history.last_complete)} - 1;
  if (history.imported) return today - kPollBackDays;
  return int64_t{DayOf(history.created)} - 1;
}

}  // namespace

Day DayOf(absl::Time wall) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToUnixSeconds(wall));
  return static_cast<Day>(std::min<int64_t>(seconds / kSecondsPerDay, UINT32_MAX));
}

absl::Time StartOfDay(Day day) { return absl::FromUnixSeconds(int64_t{day} * kSecondsPerDay); }

absl::Time EnvelopeExpiry(Day day) { return StartOfDay(day) + absl::Hours(24 * (1 + kEnvelopeDays)); }

absl::Time TombstoneExpiry(Day day) { return StartOfDay(day) + absl::Hours(24 * (1 + kTombstoneDays)); }

overlay::NodeId PlacePoint(const keys::PublicKey& blinded, Day day, uint8_t place) {
  return {keys::Hasher("loc").Add(blinded.view()).AddU64(day).Add(base::ByteView(&place, 1)).Finish()};
}

absl::StatusOr<Door> DoorOf(const keys::PublicKey& identity, std::string_view network, Day day) {
  ASSIGN_OR_RETURN(keys::PublicKey blinded, keys::BlindPublicKey(identity, network, day));
  return Door{blinded, day};
}

uint8_t FirstPlace(base::ByteView sealed) {
  return static_cast<uint8_t>(keys::Hasher("first").Add(sealed).Finish()[0] % kPlaceCount);
}

base::Bytes IsolationOf(base::ByteView secret, Day day, uint8_t place) {
  return base::ToBytes(keys::Hasher("isolation").Add(secret).AddU64(day).AddU64(place).Finish());
}

std::vector<Day> DaysToPoll(const PollHistory& history, absl::Time wall_now) {
  const int64_t today = DayOf(wall_now);
  const int64_t oldest = std::max<int64_t>(0, today - kPollBackDays);
  // A clock that went back must not make the walk start in the future.
  const int64_t newest = std::max<int64_t>(0, today - 1);
  std::vector<Day> days;
  for (int64_t day = std::clamp(FirstDay(history, today), oldest, newest); day <= today + 1; ++day) {
    days.push_back(static_cast<Day>(day));
  }
  return days;
}

}  // namespace chat
