// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/anonymity_entropy.h"

#include <algorithm>
#include <cmath>

namespace sim {

double PoolLikelihood(const PoolModel& model, int u, const absl::flat_hash_set<int>& known, const Observation& seen) {
  if (u == seen.middle || u == seen.last || u == seen.guard) return 0;
  const double size = model.pool_size, held = static_cast<double>(known.size()), others = model.members - 1;
  // That `count` members who are not known to be in the pool are in it.
  const auto in_pool = [&](int count) {
    double chance = 1;
    for (int i = 0; i < count; ++i) chance *= std::max(0.0, size - held - i) / (others - held - i);
    return chance;
  };
  const double orders = size * (size - 1) * (size - 2);
  const int fresh = !known.contains(seen.middle) + !known.contains(seen.last);
  if (seen.guard >= 0) return in_pool(fresh + !known.contains(seen.guard)) / orders;
  // The guard may be any other honest member: of the known ones, and of the rest. The middle is honest here.
  const double known_guards = static_cast<double>(
      std::count_if(known.begin(), known.end(), [&](int k) { return !model.is_hostile(k) && k != seen.middle && k != u; }));
  const double other_guards = model.honest - 2 - known_guards;
  return (known_guards * in_pool(fresh) + other_guards * in_pool(fresh + 1)) / orders;
}

double FingerLikelihood(const std::vector<int>& fingers, const std::function<bool(int)>& is_hostile, int u, const Observation& seen) {
  const auto has = [&](int member) { return std::find(fingers.begin(), fingers.end(), member) != fingers.end(); };
  if (u == seen.middle || u == seen.last || !has(seen.middle) || !has(seen.last)) return 0;
  const double size = static_cast<double>(fingers.size()), orders = size * (size - 1) * (size - 2);
  if (seen.guard >= 0) return has(seen.guard) && u != seen.guard ? 1 / orders : 0;
  const auto guards = std::count_if(fingers.begin(), fingers.end(),
                                    [&](int f) { return !is_hostile(f) && f != seen.middle && f != seen.last; });
  return static_cast<double>(guards) / orders;
}

double Entropy(const std::vector<Weighted>& posterior) {
  double sum = 0, bits = 0;
  for (const Weighted& each : posterior) sum += each.weight * each.times;
  if (sum <= 0) return 0;
  for (const Weighted& each : posterior) {
    const double p = each.weight / sum;
    if (p > 0) bits -= each.times * p * std::log2(p);
  }
  return bits;
}

}  // namespace sim
