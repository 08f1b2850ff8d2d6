// SPDX-License-Identifier: Apache-2.0
// chat/door.h — where anonymous notes for an identity wait: one blinded address a day, three places on the ring.
//
// Day e is the UTC day, days since 1970. A_e is the identity's blinded key of that day (keys/blinded_key.h), and
//   point_j = H("loc", A_e, e as 8 bytes, j as 1 byte),  j = 0..2        (protocol.md 8)
// Who knows the address computes all of it; who sees A_e can link it neither to the identity nor to another day.
// Pure functions; wall-clock time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keys/identity.h"
#include "overlay/node_id.h"

namespace chat {

using Day = uint32_t;

inline constexpr uint8_t kPlaceCount = 3;         // places of a door, each kept by R storing nodes
inline constexpr Day kEnvelopeDays = 14;          // an envelope lives until the end of day e + 14
inline constexpr Day kTombstoneDays = 15;         // a tombstone one day longer than what it deletes
inline constexpr Day kPollBackDays = 15;          // older doors hold nothing any more

Day DayOf(absl::Time wall);         // 0 for times before 1970
absl::Time StartOfDay(Day day);
absl::Time EnvelopeExpiry(Day day);
absl::Time TombstoneExpiry(Day day);

overlay::NodeId PlacePoint(const keys::PublicKey& blinded, Day day, uint8_t place);

// The door of one day. InvalidArgument if the identity is no valid point.
struct Door {
  keys::PublicKey blinded;  // A_e
  Day day = 0;

  overlay::NodeId Point(uint8_t place) const { return PlacePoint(blinded, day, place); }
};
absl::StatusOr<Door> DoorOf(const keys::PublicKey& identity, std::string_view network, Day day);

// j*: at which place `send` puts an envelope first; the second copy goes to the next one. H("first", sealed)[0] mod 3: the
// sealed bytes stand for the envelope because its id names a place already.
uint8_t FirstPlace(base::ByteView sealed);
inline uint8_t NextPlace(uint8_t place) { return static_cast<uint8_t>((place + 1) % kPlaceCount); }

// The isolation value of a (day, place) within one send or poll, whose secret is 32 fresh random bytes: circuits are shared inside
// it and with nothing else.
base::Bytes IsolationOf(base::ByteView secret, Day day, uint8_t place);

// Which doors a poll has to list, ascending: from the day before the last complete poll, at most 15 back, to tomorrow. Without
// such a poll: 15 back for an imported identity, from the day before it was made for a new one.
struct PollHistory {
  absl::Time created;
  bool imported = false;
  std::optional<absl::Time> last_complete;
};
std::vector<Day> DaysToPoll(const PollHistory& history, absl::Time wall_now);

}  // namespace chat
