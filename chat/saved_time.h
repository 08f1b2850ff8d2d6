// SPDX-License-Identifier: Apache-2.0
// chat/saved_time.h — times as the book keeps them: whole seconds since 1970, nothing before that, UINT64_MAX for never.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace chat {

inline uint64_t Seconds(absl::Time time) {
  return time == absl::InfiniteFuture() ? UINT64_MAX : static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(time)));
}
inline absl::Time FromSeconds(uint64_t seconds) {
  return seconds == UINT64_MAX ? absl::InfiniteFuture() : absl::FromUnixSeconds(static_cast<int64_t>(seconds & INT64_MAX));
}

}  // namespace chat
