// SPDX-License-Identifier: Apache-2.0
// overlay/link_queue.h — cells that wait for a link, in the order that is fair to its circuits.
//
// Every circuit has a queue of its own; sending takes one cell of each in turn. A circuit that had nothing waiting is *quiet* and
// goes before the busy ones, so a lone cell (a handshake, a chat message) does not wait behind bulk. It becomes busy with its
// first cell and quiet again only after a whole round in which it had none; where both kinds wait, each gets half of a message,
// so new circuits without end cannot starve old ones. Source: Nichols and Jacobson's fq_codel (RFC 8290, section 4), by cells,
// without CoDel. Cells of one circuit never overtake each other.
#pragma once

#include <deque>
#include <span>

#include "absl/container/flat_hash_map.h"
#include "overlay/cell.h"
#include "overlay/link.h"

namespace overlay {

inline constexpr size_t kCircuitQueueMax = 512 + 32;  // a full window and what may cross it (protocol.md 5); 1.1 MiB
inline constexpr size_t kDrainedMax = 64;  // circuits without a cell that an empty queue remembers as busy; 0.6 KiB each
inline constexpr size_t kDestroyReserve = 1024;  // DESTROY cells past kLinkQueueMax: refusing one would leave a circuit half dead

class LinkQueue {
 public:
  // False, and nothing changed, if the link or the cell's circuit has too much waiting; the circuit has to go. For its DESTROY
  // there is room beyond both bounds.
  bool Push(const Cell& cell);
  // Moves cells into `out` while a whole one fits and any waits; how many that were.
  size_t Pop(std::span<uint8_t> out);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t circuits() const { return waiting_.size(); }  // that are remembered, with or without cells

 private:
  bool PopOne(bool from_quiet, uint8_t* out);
  void ForgetDrained();

  absl::flat_hash_map<CircuitId, std::deque<Cell>> waiting_;  // of exactly the circuits on the two lists
  std::deque<CircuitId> quiet_, busy_;
  size_t size_ = 0;
};

}  // namespace overlay
