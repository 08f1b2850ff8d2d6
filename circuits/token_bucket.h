// SPDX-License-Identifier: Apache-2.0
// circuits/token_bucket.h — so many a second on average, so many at once.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace circuits {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}

  bool Take(absl::Time now) {
    if (last_ != absl::InfinitePast()) tokens_ = std::min(burst_, tokens_ + per_second_ * absl::ToDoubleSeconds(now - last_));
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double per_second_, burst_, tokens_;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace circuits
