// SPDX-License-Identifier: Apache-2.0
// chat/message_life.h — after what time a message is deleted at both ends: one of a few times, so that it fits four bits of what
// is sealed (session.h) and tells little of who chose it.
//
// The writer's copy goes so long after it was written, the reader's so long after it was first shown (inbox.h).
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>

#include "absl/time/time.h"

namespace chat {

// Code 0: kept.
inline constexpr absl::Duration kMessageLives[] = {absl::ZeroDuration(), absl::Seconds(30),    absl::Minutes(5),
                                                   absl::Minutes(30),    absl::Hours(1),       absl::Hours(6),
                                                   absl::Hours(12),      absl::Hours(24),      absl::Hours(3 * 24),
                                                   absl::Hours(7 * 24),  absl::Hours(14 * 24), absl::Hours(28 * 24)};
inline constexpr uint8_t kMessageLifeCodes = std::size(kMessageLives);
static_assert(kMessageLifeCodes <= 16);

// Of a code that was checked.
constexpr absl::Duration LifeOf(uint8_t code) { return kMessageLives[code]; }
inline std::optional<uint8_t> LifeCode(absl::Duration life) {
  for (uint8_t code = 0; code < kMessageLifeCodes; ++code) {
    if (kMessageLives[code] == life) return code;
  }
  return std::nullopt;
}

}  // namespace chat
