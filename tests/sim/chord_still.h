// SPDX-License-Identifier: Apache-2.0
// tests/sim/chord_still.h — real Ring cores in the ideal state in which time stands still: lookups without maintenance, as in the
// experiments on path length and simultaneous failures (ToN 2003, V-C and V-D).
#pragma once

#include <memory>
#include <vector>

#include "tests/sim/chord_ideal.h"

namespace sim {

struct StillLookup {
  bool right = false;      // ended at the first live node at or after the point
  int hops = 0;            // nodes that answered; the asker and the last step, to the owner, are not counted
  int timeouts = 0;        // dead nodes asked on the way
  int owner_timeouts = 0;  // and those in front of the first live owner in the answer
  std::vector<size_t> path;  // who answered, in turn, and the owner
};

class StillRing {
 public:
  StillRing(size_t count, overlay::Ring::Options options, base::Rng& rng);

  void Kill(size_t index) { alive_[index] = false; }
  void ReviveAll() { alive_.assign(size(), true); }
  bool IsAlive(size_t index) const { return alive_[index]; }
  size_t size() const { return ideal_.size(); }
  size_t OwnerOf(const overlay::NodeId& point) const { return ideal_.OwnerOf(point); }
  const overlay::Ring& ring(size_t index) const { return *rings_[index]; }

  // A caller's lookup by the core, one try, without repair: by a copy of it that is thrown away, unless `learn`.
  StillLookup Lookup(size_t from, const overlay::NodeId& point, bool learn = false);
  // The same lookup over what ToN's figure 5 reads: successor and fingers, not the rest of the list. The core's own finger tables
  // and Lookup; only who answers chooses among less.
  StillLookup LookupPlain(size_t from, const overlay::NodeId& point) const;

 private:
  StillLookup Run(overlay::Ring& asker, const overlay::NodeId& point);
  overlay::NextHopReply PlainAnswer(size_t index, const overlay::NodeId& point) const;
  void Judge(const overlay::LookupResult& found, const overlay::NodeId& point, StillLookup& lookup) const;
  size_t LiveOwnerOf(const overlay::NodeId& point) const;

  IdealRing ideal_;
  std::vector<std::unique_ptr<overlay::Ring>> rings_;
  std::vector<bool> alive_;
};

}  // namespace sim
