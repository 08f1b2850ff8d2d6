// SPDX-License-Identifier: Apache-2.0
// tests/sim/anonymity_entropy.h — what colluding hostile relays can tell of the sender of a circuit whose last hop is theirs: the exact
// posterior over all honest senders, in bits.
//
// They see: the middle hop; the guard too, if the middle is theirs; with a hostile guard the sender, by timing (counted as certain).
// They know the whole topology and, of each client, the pooled relays that were betrayed to them. Every honest member is equally
// likely to send beforehand. Nobody is a relay of his own circuits. Distinct prefixes are left out of the model.
// tests/sim/anonymity_reference.py computes the same by counting through all pools, independently.
#pragma once

#include <functional>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace sim {

// Members are numbers below `members` here.
struct Observation {
  int guard = -1;  // seen only if the middle is hostile; honest then
  int middle = 0, last = 0;
};

struct PoolModel {
  int members = 0, honest = 0;
  int pool_size = 0;
  std::function<bool(int)> is_hostile;
};

// P(observation | the sender is u), u honest and not on the circuit (else 0): u's pool holds `known` and is uniform otherwise; guard,
// middle and last are drawn from it without repetition.
double PoolLikelihood(const PoolModel& model, int u, const absl::flat_hash_set<int>& known, const Observation& seen);

// The same where hops are drawn from u's own fingers, which everybody knows.
double FingerLikelihood(const std::vector<int>& fingers, const std::function<bool(int)>& is_hostile, int u, const Observation& seen);

// Entropy of weights, each counting `times`, in bits.
struct Weighted {
  double weight, times;
};
double Entropy(const std::vector<Weighted>& posterior);

}  // namespace sim
