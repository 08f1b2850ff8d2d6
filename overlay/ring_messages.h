// SPDX-License-Identifier: Apache-2.0
// overlay/ring_messages.h — what virtual nodes ask of each other, as plain structs. proto/overlay.proto is their wire form.
//
// Everything named here is hearsay until its owner answered: a peer in a list may be dead, or may never have lived.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "overlay/peer.h"

namespace overlay {

// "What are your pointers?" The one question on whose answer a maintenance step is built.
struct StateRequest {};
struct StateReply {
  bool pending = false;   // a maintenance step is under way there: alive, ask again soon; nothing else is filled in
  bool member = false;    // false: joining, detached or leaving; its pointers count for nothing
  bool detached = false;  // no member because its whole list died
  bool open = false;      // the list is short because entries failed; what follows its last one is not known
  std::optional<Peer> predecessor;
  std::vector<Peer> successors;            // r of them, or all other members of a ring of at most r, or fewer if open
  std::vector<Peer> more_successors;       // what follows them, together at most kTableNeighbours; outside the proof
  std::vector<Peer> storing_successors;    // the next R + 1 storing processes
  std::vector<Peer> predecessors;          // at most kTableNeighbours, nearest first
  std::vector<Peer> storing_predecessors;  // the R + 1 storing processes before it
};

// "I believe I am your predecessor", every round; and to one that is no member: "I am looking for a way in".
struct RectifyRequest {
  Peer candidate;  // the caller itself
  std::vector<Peer> predecessors;
  std::vector<Peer> storing_predecessors;
  bool seeking = false;  // the caller is no member: it asks for a way in, and is nobody's predecessor
};
struct RectifyReply {};

struct NextHopRequest {
  NodeId point;
};
struct NextHopReply {
  bool member = false;
  bool found = false;         // the point lies between the answerer and its successor
  std::vector<Peer> owners;   // the successors of the point, nearest first; not found: as the list beyond it has them, if it reaches
  std::vector<Peer> storing;  // the first R + 1 storing processes at or after the point, in the same way
  std::vector<Peer> closer;   // not found: peers between the answerer and the point, the closest to it first
};

// A hint that the leaver may be gone: neighbours look at once. Nothing is believed.
struct LeavingRequest {
  Peer leaver;
};
struct LeavingReply {};

// grpc.health.v1 Check: answered at once, whatever else is under way.
struct HealthRequest {};
struct HealthReply {
  bool serving = false;  // it is a member
};

using RingRequest = std::variant<StateRequest, RectifyRequest, NextHopRequest, LeavingRequest, HealthRequest>;
using RingReply = std::variant<StateReply, RectifyReply, NextHopReply, LeavingReply, HealthReply>;

}  // namespace overlay
