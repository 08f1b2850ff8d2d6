// SPDX-License-Identifier: Apache-2.0
#include "dht/link_shares.h"

#include <algorithm>
#include <cmath>

namespace dht {

double LinkShares::Now(const Share& share, absl::Time now) {
  const double half_lives = absl::FDivDuration(now - share.at, kShareHalfLife);
  return share.bytes * std::exp2(-std::max(half_lives, 0.0));
}

void LinkShares::ForgetLeast(absl::Time now) {
  shares_.erase(std::min_element(shares_.begin(), shares_.end(),
                                 [&](const auto& a, const auto& b) { return Now(a.second, now) < Now(b.second, now); }));
}

bool LinkShares::Take(const keys::PublicKey& link, uint64_t bytes, uint64_t free, absl::Time now) {
  const auto found = shares_.find(link);
  const double brought = (found == shares_.end() ? 0 : Now(found->second, now)) + static_cast<double>(bytes);
  if (brought > static_cast<double>(free)) return false;
  if (found == shares_.end() && shares_.size() == kSharesMax) ForgetLeast(now);
  shares_[link] = {.bytes = brought, .at = now};
  return true;
}

}  // namespace dht
