// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chord_stretch.h"

#include <algorithm>

namespace sim {
namespace {

uint64_t RandomPoint(base::Rng& rng) {
  uint64_t point = 0;
  for (const uint8_t byte : rng.Array<8>()) point = point << 8 | byte;
  return point;
}

// Clockwise; arithmetic modulo 2^64 is that of the circle.
uint64_t Distance(uint64_t from, uint64_t to) { return to - from; }

}  // namespace

FingerModel::FingerModel(size_t nodes, base::Rng& rng) : points_(nodes) {
  for (uint64_t& point : points_) point = RandomPoint(rng);
  std::sort(points_.begin(), points_.end());
}

size_t FingerModel::OwnerOf(uint64_t point) const {
  const auto at = std::lower_bound(points_.begin(), points_.end(), point);
  return at == points_.end() ? 0 : static_cast<size_t>(at - points_.begin());
}

// The finger closest before the point; of its first s nodes that still lie before the next finger and the point, the nearest.
size_t FingerModel::NextHop(size_t from, uint64_t point, int s, const Delays& delays) const {
  const uint64_t self = points_[from];
  for (int exponent = 63; exponent >= 0; --exponent) {
    const uint64_t begin = uint64_t{1} << exponent;
    if (begin >= Distance(self, point)) continue;
    const size_t first = OwnerOf(self + begin);
    const uint64_t end = exponent == 63 ? Distance(self, point) : std::min(2 * begin, Distance(self, point));
    size_t best = size();
    for (size_t i = 0; i < static_cast<size_t>(s); ++i) {
      const size_t node = (first + i) % size();
      const uint64_t distance = Distance(self, points_[node]);
      if (distance < begin || distance >= end) break;
      if (best == size() || delays.Between(from, node) < delays.Between(from, best)) best = node;
    }
    if (best != size()) return best;
  }
  return (from + 1) % size();
}

std::vector<size_t> FingerModel::Path(size_t from, int s, const Delays& delays, base::Rng& rng) const {
  const uint64_t point = RandomPoint(rng);
  const size_t owner = OwnerOf(point);
  std::vector<size_t> path;
  for (size_t at = from; at != owner;) {
    const size_t after = (at + 1) % size();
    at = after == owner ? owner : NextHop(at, point, s, delays);
    path.push_back(at);
  }
  return path;
}

Stretch PathStretch(size_t asker, const std::vector<size_t>& path, const Delays& delays) {
  double iterative = 0, recursive = 0;
  size_t last = asker;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    iterative += 2 * delays.Between(asker, path[i]);
    recursive += delays.Between(last, path[i]);
    last = path[i];
  }
  if (last != asker) recursive += delays.Between(last, asker);
  const double direct = 2 * delays.Between(asker, path.back());
  return {iterative / direct, recursive / direct};
}

}  // namespace sim
