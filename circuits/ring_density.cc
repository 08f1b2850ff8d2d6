// SPDX-License-Identifier: Apache-2.0
#include "circuits/ring_density.h"

#include <algorithm>
#include <cmath>

namespace circuits {
namespace {

using overlay::DistanceShare;
using overlay::NodeId;
using overlay::RoutingTable;

constexpr size_t kGapsMin = 16;  // of a stretch: fewer tell too little to count as much as another
constexpr double kStretchError = 0.23;  // of the median over one stretch: 1.25 / sqrt(30 gaps)

}  // namespace

void RingDensity::Add(const RoutingTable& table, absl::Time now) {
  if (table.CoversRing() || table.predecessors.empty() || table.successors.empty()) return;
  // The gap before the owner is left out: who was found as the successor of a random point stands behind a long one.
  const size_t gaps = table.predecessors.size() - 1 + table.successors.size();
  if (gaps < kGapsMin) return;
  Stretch fresh{table.owner.point, table.predecessors.back().point, table.successors.back().point, 0, 0, now};
  const double known = DistanceShare(fresh.first, table.predecessors.front().point) + DistanceShare(fresh.owner, fresh.last);
  // The median of a sum of n exponential gaps is n - 1/3 of their mean.
  fresh.gap = known / (static_cast<double>(gaps) - 1.0 / 3);
  fresh.span = DistanceShare(fresh.first, fresh.last);
  std::erase_if(stretches_, [&](const Stretch& held) { return held.owner == fresh.owner || now - held.when > kDensityFresh; });
  for (const Stretch& held : stretches_) {
    if (overlay::InHalfOpen(fresh.owner, held.first, held.last) || overlay::InHalfOpen(held.owner, fresh.first, fresh.last)) return;
  }
  stretches_.push_back(fresh);
  if (stretches_.size() > kDensitySamplesMax) stretches_.pop_front();
}

std::optional<double> RingDensity::MeanGap(absl::Time now) const {
  std::vector<double> gaps;
  double covered = 0;
  for (const Stretch& held : stretches_) {
    if (now - held.when > kDensityFresh) continue;
    gaps.push_back(held.gap);
    covered += held.span;
  }
  if (gaps.empty() || (gaps.size() < kDensitySamplesMin && covered < 0.5)) return std::nullopt;
  const auto middle = gaps.begin() + static_cast<ptrdiff_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  const bool few = gaps.size() < kDensitySamplesMin;
  return *middle * (few ? 1 + kStretchError / std::sqrt(static_cast<double>(gaps.size())) : 1);
}

}  // namespace circuits
