// SPDX-License-Identifier: Apache-2.0
// tests/sim/chord_stretch.h — what a lookup costs in time beside one message to the owner and back (ToN 2003, V-F, table IV).
//
// The paper's rule over ideal tables, as a model of its own and none of our cores: every finger keeps the first `s` nodes of its
// interval and uses the one nearest to its owner. Our cores keep other tables; PathStretch is the same measure for the nodes that
// they asked.
#pragma once

#include <vector>

#include "base/rng.h"
#include "tests/sim/delay_models.h"

namespace sim {

struct Stretch {
  double iterative, recursive;
};

// Nodes in ring order, at random points.
class FingerModel {
 public:
  FingerModel(size_t nodes, base::Rng& rng);

  // Whom a lookup from that node for a random point asks, the owner last.
  std::vector<size_t> Path(size_t from, int s, const Delays& delays, base::Rng& rng) const;
  size_t size() const { return points_.size(); }

 private:
  size_t OwnerOf(uint64_t point) const;
  size_t NextHop(size_t from, uint64_t point, int s, const Delays& delays) const;

  std::vector<uint64_t> points_;
};

// Iterative: from the asker to each node and back. Recursive: from node to node, and back from the last. Both over a message to the
// owner and back. `path` ends with the owner, which is not the asker and not among those asked: hops are counted so, too.
Stretch PathStretch(size_t asker, const std::vector<size_t>& path, const Delays& delays);

}  // namespace sim
