// SPDX-License-Identifier: Apache-2.0
// tests/sim/step_world.h — a few real Ring cores whose every message and timer is let happen by hand, in any order; copies
// cheaply.
//
// What can happen next is a Choice: a question reaches its node (it answers in that instant), an answer reaches the asker, a
// node's next timer fires, a node crashes, a node joins. State questions and the lane's sign of life wait in both directions;
// a Rectify waits for its delivery. Not choices, because no maintenance step depends on when they happen:
//  - a joiner's way to its place (NextHop) is walked at once; what it found is old news by the time its State question arrives;
//  - lookups of members are never answered, or at once; hints (Leaving) are dropped: they only move timers, and those fire at any
//  time;
//  - a node's clock jumps to its next timer; clocks of different nodes are never compared. A round is so long that suspicions are
//    over by the next one. Nobody gives up on "pending" (the proof assumes answers in time).
// Two equal Rectify messages under way are one: both say the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "overlay/ring.h"
#include "tests/sim/ring_checkers.h"

namespace sim {

struct Choice {
  enum class Kind { kQuestion, kAnswer, kTimer, kCrash, kJoin };
  Kind kind;
  size_t index;  // of the message, or of the node
};

class StepWorld {
 public:
  // Those of members, for fingers and reunion: kNever for searches, which are about the lane alone.
  enum class Lookups { kNever, kAtOnce };

  // Nodes 0..nodes-1 stand on the ring in that order; none runs yet.
  StepWorld(size_t nodes, int successor_count, Lookups lookups);

  void Create(size_t node);
  void Join(size_t node, size_t contact);
  void Crash(size_t node);

  // Every question, answer and timer that can happen now. Crashes and joins are the caller's to offer.
  std::vector<Choice> Choices() const;
  void Do(const Choice& choice);
  std::string Text(const Choice& choice) const;  // before it is done

  // "x stabilises and its successor is notified": what x has under way, or else its next round, to the end.
  void Stabilize(size_t node);
  // Rounds of everybody until nothing but repetition is left; bounded.
  void Settle();

  bool IsRunning(size_t node) const { return nodes_[node].ring != nullptr; }
  bool HasDied(size_t node) const { return nodes_[node].died; }
  size_t size() const { return nodes_.size(); }
  const overlay::Ring& ring(size_t node) const { return *nodes_[node].ring; }
  const overlay::NodeId& point(size_t node) const { return nodes_[node].peer.point; }
  RingView View() const;   // as World::View with watch_steps: an answered step counts as written
  uint64_t Print() const;  // equal for worlds that go on alike

 private:
  struct Node {
    overlay::Peer peer;
    std::shared_ptr<overlay::Ring> ring;  // shared between copies of the world until one changes it
    absl::Time now = absl::UnixEpoch();
    bool died = false;
  };
  struct Message {
    size_t from, to;
    overlay::Call call;
    bool answered = false;
    absl::StatusOr<overlay::RingReply> reply;
  };

  size_t IndexOf(const overlay::NodeId& point) const { return point.bytes[0] - 1u; }
  overlay::Ring& Own(size_t node);
  void Apply(size_t node, overlay::RingActions actions);
  void OnCall(size_t from, overlay::Call call);
  void Post(size_t from, overlay::Call call);
  absl::StatusOr<overlay::RingReply> AskNow(size_t to, const overlay::RingRequest& request);
  void Give(size_t node, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply);
  void DeliverQuestion(size_t message);
  void DeliverAnswer(size_t message);
  void FireTimer(size_t node);
  bool IsWaiting(size_t node) const;
  bool DeliverOne(size_t node);

  overlay::Ring::Options options_;
  Lookups lookups_;
  std::vector<Node> nodes_;
  std::vector<Message> messages_;
};

}  // namespace sim
