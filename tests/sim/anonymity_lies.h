// SPDX-License-Identifier: Apache-2.0
// tests/sim/anonymity_lies.h — the tables that hostile members show: bent towards friends, as far as they dare. For simulated rings and
// for the hostile processes of `./dev soak hostile`.
#pragma once

#include <functional>

#include "tests/support/drawn_ring.h"

namespace sim {

struct Conspiracy {
  std::function<bool(const keys::PublicKey&)> is_friend;
  double nodes = 0;               // of the ring
  double reach = 0.95;            // of the bounds of circuits/table_check.h: above 1 a lie that can be seen
  bool bends_predecessors = false;  // too: claims what belongs to others, at the cost of claims of its own
};

// What the member at `index` shows instead of `truth`: all friends that its bounds let it name; of honest ones those that catch least,
// and before itself the farthest, so that its own arc looks long. Friends at as many fingers as their distances together allow.
overlay::RoutingTable Bent(const Conspiracy& conspiracy, const support::DrawnRing& ring, size_t index, const overlay::RoutingTable& truth);

}  // namespace sim
