// SPDX-License-Identifier: Apache-2.0
// overlay/neighbourhood.h — the storing processes around a virtual node: what dht/ is told of the ring.
//
// The ring's successor list ignores roles; beside it a node knows the storing virtual nodes in each direction up to the (R + 1)th
// process other than its own (protocol.md 2), without a gap: a process may stand there several times, its own too. In a small
// ring both lists may name the same.
#pragma once

#include <vector>

#include "overlay/peer.h"

namespace overlay {

struct Neighbourhood {
  Peer self;
  bool member = false;             // false: joining, detached or leaving: answer for no key
  std::vector<Peer> successors;    // storing virtual nodes, nearest first, without self
  std::vector<Peer> predecessors;  // the same backwards

  bool operator==(const Neighbourhood&) const = default;
};

// The first `count` storing processes at or after the point, self among them if it stores; empty if the point lies too far away
// for this neighbourhood to tell.
std::vector<Peer> ResponsibleFor(const NodeId& point, const Neighbourhood& neighbourhood, size_t count);

// The arc whose points self keeps as one of `count` holders: (the count-th other storing process before it, self]; if another
// virtual node of its process stands nearer, from there; the whole circle if there are fewer. Only for a storing self.
RingRange HeldRange(const Neighbourhood& neighbourhood, size_t count);

}  // namespace overlay
