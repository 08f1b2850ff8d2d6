// SPDX-License-Identifier: Apache-2.0
// circuits/ring_density.h — how far apart the members of the ring stand, as a client can tell from tables of others.
//
// Source: Castro et al., OSDI 2002, section 4 (density of neighbour sets); NISAN, CCS 2009 (mean gap as the measure of bounds).
// One table shows the stretch around its owner; its owner chooses what it shows, so no single one is believed: the estimate is
// the median over unrelated stretches. With a third of them lying all one way it is off by a tenth, and what is measured with it
// has bounds that bear that. Few stretches, of a small ring, tell less: then it leans to the far side by its standard error, or one
// ring in a hundred would be thought a fifth too dense and a hundredth of its true tables refused. One alone is not believed, and
// two or three only if they agree. Bounded: kDensitySamplesMax stretches, the oldest goes.
#pragma once

#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kDensitySamplesMin = 20;  // the median of fewer is in the hands of three liars
inline constexpr size_t kDensitySamplesMax = 96;
inline constexpr absl::Duration kDensityFresh = absl::Hours(2);  // a ring that doubles within it is nobody's honest churn

class RingDensity {
 public:
  // A verified table. One whose owner stands in a stretch that is held already, or the other way round, only renews that one if
  // the owner is the same: what neighbours say is not independent. One far narrower than all that it meets takes their place.
  void Add(const overlay::RoutingTable& table, absl::Time now);
  // Mean distance between neighbours as a share of the circle. Nothing before kDensitySamplesMin stretches are known, or a few
  // that are believable and make up half the circle.
  std::optional<double> MeanGap(absl::Time now) const;
  size_t size() const { return stretches_.size(); }

 private:
  struct Stretch {
    overlay::NodeId owner, first, last;
    double gap;   // mean over the stretch
    double span;  // share of the circle
    absl::Time when;
  };
  std::deque<Stretch> stretches_;  // oldest first
};

}  // namespace circuits
