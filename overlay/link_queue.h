// SPDX-License-Identifier: Apache-2.0
// overlay/link_queue.h — cells that wait for a link, in the order that is fair to its circuits.
//
// Every circuit has a queue of its own; sending takes one cell of each in turn. A circuit that had nothing waiting is *quiet* and
// goes before the busy ones, so a lone cell (a handshake, a chat message) does not wait behind bulk. It becomes busy with its
// first cell and quiet again only after a whole round in which it had none; where both kinds wait, each gets half of a message,
// so new circuits without end cannot starve old ones. Source: Nichols and Jacobson's fq_codel (RFC 8290, section 4), by cells,
// without CoDel. Cells of one circuit never overtake each other.
//
// A DESTROY takes the place of all its circuit's cells, for nobody can use them any more, and waits as an id: a link that breaks
// under ten thousand circuits makes as many at once, and one that were refused would leave a circuit half dead for an hour. They
// get a quarter of a message where others wait. (A circuit whose id, 31 random bits, is drawn again meanwhile could overtake its
// predecessor's DESTROY; the link would end.)
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "overlay/cell.h"
#include "overlay/link.h"

namespace overlay {

inline constexpr size_t kCircuitQueueMax = 512 + 32;  // a full window and what may cross it (protocol.md 5); 1.1 MiB
inline constexpr size_t kDrainedMax = 64;           // circuits without a cell that an empty queue remembers as busy; 0.6 KiB each
inline constexpr size_t kDestroysMax = 128 * 1024;  // waiting; 4 bytes each: of all circuits a link may have, those refused too

enum class PushResult : uint8_t {
  kQueued,
  kCircuitFull,  // the cell's circuit has kCircuitQueueMax waiting: it has to go
  kLinkFull,     // kLinkQueueMax: some circuit has to go
};

class LinkQueue {
 public:
  struct Oldest {
    CircuitId circuit;
    uint64_t order;
  };

  // Unless kQueued, nothing changed. The bounds of cells are not a DESTROY's (kDestroysMax). `order` grows from cell to cell,
  // over all queues that are compared by it.
  PushResult Push(const Cell& cell, uint64_t order = 0);
  // Moves cells into `out` while a whole one fits and any waits; how many that were.
  size_t Pop(std::span<uint8_t> out);
  // Throws a circuit's cells away.
  void Discard(CircuitId circuit);
  // The first cell of every circuit that has one. Costs a look at all circuits: only for when room is short.
  std::vector<Oldest> Heads() const;

  size_t size() const { return size_; }  // cells that wait, but for DESTROYs
  size_t due() const { return size_ + destroys_.size(); }
  bool empty() const { return due() == 0; }
  size_t circuits() const { return waiting_.size(); }  // that are remembered, with or without cells

 private:
  struct Waiting {
    uint64_t order;
    Cell cell;
  };

  bool PopOne(bool from_quiet, uint8_t* out);
  void PopDestroy(uint8_t* out);
  void ForgetDrained();

  absl::flat_hash_map<CircuitId, std::deque<Waiting>> waiting_;  // of exactly the circuits on the two lists
  std::deque<CircuitId> quiet_, busy_;
  std::deque<CircuitId> destroys_;
  size_t size_ = 0;
};

}  // namespace overlay
