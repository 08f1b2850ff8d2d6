// SPDX-License-Identifier: Apache-2.0
// tests/sim/interleavings.h — every order of deliveries, timers, crashes and joins of a small ring, each state once.
//
// Depth first over StepWorld, states told apart by their Print(); one that is met again with more rounds left is gone on from.
// Starts from an ideal ring of `members`; `joiners` more may join and `crashes` of all may die at any moment the failure
// assumption allows. After every step the invariant is checked, and that no principal was lost without dying; every
// `settle_every`th state is let run fairly and must become the ideal ring of the living.
#pragma once

#include <cstdint>
#include <string>

namespace sim {

struct Interleavings {
  int successor_count = 2;
  int members = 3, joiners = 1, crashes = 1;
  int principals_min = 3;         // r + 1, or 1 for bootstrap mode
  int rounds = 6;                 // how many timers fire on one path; a timer starts one round of one node
  uint64_t states_max = 100'000;  // then the search stops, incomplete
  uint64_t settle_every = 100;
};

struct InterleavingsResult {
  uint64_t states = 0, steps = 0, settled = 0;
  size_t deepest = 0;
  bool complete = false;  // every state that can be reached with that many rounds was seen
  std::string broken;     // what, and the steps that lead there; empty if nothing
};

InterleavingsResult Search(const Interleavings& bounds);

}  // namespace sim
