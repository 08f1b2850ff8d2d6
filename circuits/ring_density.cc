// SPDX-License-Identifier: Apache-2.0
#include "circuits/ring_density.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace circuits {
namespace {

using overlay::DistanceShare;
using overlay::NodeId;
using overlay::RoutingTable;

constexpr size_t kGapsMin = 16;  // of a stretch: fewer tell too little to count as much as another
constexpr double kApart = 2.5;  // of what true tables say: three standard errors of two stretches, and more if they overlap
constexpr double kStretchError = 0.23;  // of the median over one stretch: 1.25 / sqrt(30 gaps)

// Few stretches: half of the circle, but a span is its owner's own claim, so a wide one counts no more than twice what is usual; and
// of two or three, where one liar might decide, all have to agree.
bool AreBelievable(const std::vector<double>& gaps, std::vector<double> spans) {
  if (gaps.size() < 2) return false;
  const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
  if (gaps.size() <= 3 && *most > kApart * *least) return false;
  const auto middle = spans.begin() + static_cast<ptrdiff_t>((spans.size() - 1) / 2);
  std::nth_element(spans.begin(), middle, spans.end());
  const double at_most = 2 * *middle;
  double covered = 0;
  for (const double span : spans) covered += std::min(span, at_most);
  return covered >= 0.5;
}

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
  const auto overlaps = [&](const Stretch& held) {
    return overlay::InHalfOpen(fresh.owner, held.first, held.last) || overlay::InHalfOpen(held.owner, fresh.first, fresh.last);
  };
  // Members that a wide one left out show that it lies. One that is narrower by chance does not count: that would lean to one side.
  const auto stands = [&](const Stretch& held) { return overlaps(held) && held.gap <= kApart * fresh.gap; };
  if (std::any_of(stretches_.begin(), stretches_.end(), stands)) return;
  std::erase_if(stretches_, overlaps);
  stretches_.push_back(fresh);
  if (stretches_.size() > kDensitySamplesMax) stretches_.pop_front();
}

std::optional<double> RingDensity::MeanGap(absl::Time now) const {
  std::vector<double> gaps, spans;
  for (const Stretch& held : stretches_) {
    if (now - held.when > kDensityFresh) continue;
    gaps.push_back(held.gap);
    spans.push_back(held.span);
  }
  const bool few = gaps.size() < kDensitySamplesMin;
  if (few && !AreBelievable(gaps, spans)) return std::nullopt;
  if (gaps.size() == 2) return (gaps[0] + gaps[1]) / 2 * (1 + kStretchError / std::sqrt(2));  // neither has the last word
  const auto middle = gaps.begin() + static_cast<ptrdiff_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return *middle * (few ? 1 + kStretchError / std::sqrt(static_cast<double>(gaps.size())) : 1);
}

}  // namespace circuits
