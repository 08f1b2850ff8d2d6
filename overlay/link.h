// SPDX-License-Identifier: Apache-2.0
// overlay/link.h — port to the links: authenticated connections that carry the cells of all circuits of a pair.
//
// The gRPC shell (grpc_link.h) and the tests' in-memory one implement it. All calls and callbacks on the loop's thread;
// callbacks are never made from inside a call.
#pragma once

#include <functional>

#include "overlay/cell.h"
#include "overlay/descriptor.h"

namespace overlay {

using LinkId = uint64_t;  // never 0, never used twice by one process

inline constexpr size_t kLinkQueueMax = 4 * 1024 * 1024 / kCellSize;    // cells: 4 MiB; beyond it a circuit is evicted
inline constexpr size_t kLinksQueueMax = 64 * 1024 * 1024 / kCellSize;  // cells of all links together: 64 MiB, the same

struct LinkInfo {
  LinkId id = 0;
  keys::PublicKey peer_key;  // what TLS proved; for a node link the node key
  bool is_node = false;      // false: a client, under tighter caps, behind a fresh key
  bool high_ids = false;     // this side's TLS key is the greater: its circuit ids have the top bit set
};

class LinkListener {
 public:
  virtual ~LinkListener() = default;
  virtual void OnLinkUp(const LinkInfo& link) = 0;
  virtual void OnCell(LinkId link, Cell& cell) = 0;  // which it may change: it is not looked at again
  virtual void OnLinkDown(LinkId link) = 0;          // also for one that never came up; the id is dead
  // There was no room left, and of all circuits whose cells wait (on this link if it is full, else on any) this one had the
  // oldest. Its cells are thrown away already: it has to go, on both sides.
  virtual void OnEvicted(LinkId link, CircuitId circuit) = 0;
};

// Whose circuit a link is wanted for. The last kOwnLinksKept places are for one's own: who fills the others with links, or with
// dials to addresses that are silent, would else decide which guards can be reached.
enum class LinkFor { kOwnCircuit, kRelayed };
inline constexpr size_t kOwnLinksKept = 16;  // a client has eight guards at most

class Links {
 public:
  virtual ~Links() = default;
  virtual void SetListener(LinkListener* listener) = 0;
  // The link to that node: the one there is, or a new one that comes up (OnLinkUp) or fails (OnLinkDown within 5 s). Cells sent
  // before it is up wait. The peer must prove the descriptor's node key. Dials are rate-limited by the caller. 0: there is no
  // room here (or it is ourselves, or the end of the process), which says nothing about the peer.
  virtual LinkId Connect(const Descriptor& to, LinkFor whom) = 0;
  // False if the link is gone, or too many cells of this circuit wait: the cell is dropped, and the circuit has to go. A full
  // link, or too much on all links together, costs the circuit with the oldest cell instead (OnEvicted): the one whose reader
  // is slow, or which has more than its share, not the one that happens to send.
  virtual bool Send(LinkId link, const Cell& cell) = 0;
  virtual void Close(LinkId link) = 0;
  virtual const LinkInfo* Find(LinkId link) const = 0;  // null unless it is up
};

}  // namespace overlay
