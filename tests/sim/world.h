// SPDX-License-Identifier: Apache-2.0
// tests/sim/world.h — many real Ring cores in one thread under virtual time: delay, loss, duplicates, late messages, crash,
// restart, pause, partitions, clocks that go wrong, stolen names. No store.
//
// One seed decides everything, so a seed replays a run exactly. Calls between live, connected nodes always arrive within
// 2 * delay_max, which is below the calls' timeout: failure detection is perfect unless `loss` is above zero.
//
// A member's step reads another node and writes its own state, and counts as done at the instant the other one answers
// (the answer may still be on its way; the member says "pending" until it has it). View() shows that: for an answer in
// flight it shows what the asker is about to write.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "overlay/ring.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/ring_checkers.h"
#include "tests/support/seeded_rng.h"

namespace sim {

class World {
 public:
  struct Options {
    uint64_t seed = 1;
    overlay::Ring::Options ring;
    absl::Duration delay_min = absl::Milliseconds(1), delay_max = absl::Milliseconds(60);  // one way
    double loss = 0;         // share of calls that get lost: the asker sees a timeout
    double duplicate = 0;    // share of questions that arrive twice
    double late = 0;         // share of messages that take up to half a timeout: later ones overtake them
    double clock_drift = 0;  // clocks run up to this share too fast or too slow, and are up to an hour off
    double silent = 0.3;     // share of calls to the dead that time out; the others are refused at once
    bool watches = false;    // the neighbours of a process hear of its end, as by a Watch; not from a silent machine
    absl::Duration prepare_max = absl::Milliseconds(300);  // from JoinPrepared to OnRangeReady
    bool bootstrap_knows_members = true;  // who finds no way in is given the address of a member, if there is one
    bool watch_steps = false;             // keep the views that on_step reads
    size_t trace_max = 60;                // the latest events that Dump() tells
  };
  struct Node {
    overlay::Peer peer;
    std::unique_ptr<overlay::Ring> ring;  // null: dead
    uint64_t life = 0;                    // how often it was started
    int side = 0;                         // of a partition
    double rate = 1;                      // of its clock
    absl::Duration offset;                // of its clock
    bool paused = false;
    std::vector<absl::AnyInvocable<void()>> held;  // answers and timers that wait for its going on
    absl::Time tick_at = absl::InfiniteFuture();
    std::optional<MemberView> view;     // watch_steps: as View() shows it
    overlay::CallId answered_call = 0;  // the answer in flight that `view` is ahead by
  };

  explicit World(Options options);

  // A node that is not running yet: at a random point, or at that one.
  size_t Add(overlay::Role role = overlay::Role::kStoring);
  size_t AddAt(const overlay::NodeId& point, overlay::Role role = overlay::Role::kStoring);
  size_t AddTwin(size_t node);   // another process with the same key, and so the same point, at another address
  size_t AddPeer(overlay::Peer peer);  // as it is, but for the address
  void StartAlone(size_t node);  // creates a ring
  void StartJoin(size_t node, const std::vector<size_t>& contacts);
  void Crash(size_t node);
  void Leave(size_t node);            // tells its neighbours, and is gone a moment later
  void Tell(size_t node, size_t of);  // a contact, as from a bootstrap address
  void SetLoss(double loss) { options_.loss = loss; }
  // A partition: only nodes of one side hear each other, and the nodes of `to` those of `from` where a way is open.
  void SetSide(size_t node, int side) { nodes_[node].side = side; }
  void OpenWay(int from, int to) { ways_.push_back({from, to}); }
  void Heal();
  // The process stands still (its machine sleeps): others meet silence, and it goes on as if no time had passed for it.
  void Pause(size_t node) { nodes_[node].paused = true; }
  void Resume(size_t node);
  // Back at once under the same key, knowing whom it knew before.
  void RestartWithOldState(size_t node);
  // Starts a ring of that many nodes, one joining after the other, and runs until it is ideal. CHECKs that it gets there.
  void Grow(size_t count);

  // The owner of a point as this node finds it; runs the world until it is known.
  absl::StatusOr<overlay::LookupResult> Lookup(size_t node, const overlay::NodeId& point);

  bool Step();  // one event; false if there is none
  void RunFor(absl::Duration span);
  // Until the condition holds, at most `limit`; false if it never did.
  bool RunUntil(const std::function<bool()>& condition, absl::Duration limit, absl::Duration look_every = absl::Milliseconds(10));
  bool RunUntilIdeal(absl::Duration limit, absl::Duration look_every = absl::Milliseconds(10));

  RingView View() const;  // of the live members
  const std::vector<Node>& nodes() const { return nodes_; }
  const overlay::Ring* ring(size_t node) const { return nodes_[node].ring.get(); }
  std::vector<size_t> LiveNodes() const;
  absl::Time now() const { return now_; }
  base::Rng& rng() { return rng_; }
  uint64_t events() const { return events_done_; }
  std::string Dump() const;

  // For what stands on the ring (store_ring.h): events of its own, the messages' delays and the partition.
  void At(absl::Time when, absl::AnyInvocable<void()> run);
  absl::Duration Delay();
  bool Reaches(size_t from, size_t to) const;
  absl::Time Clock(size_t node) const;
  absl::Time FromClock(size_t node, absl::Time reading) const;
  using LookupHandler = std::function<void(const absl::StatusOr<overlay::LookupResult>&)>;
  void StartLookup(size_t node, const overlay::NodeId& point, LookupHandler done);  // not called if the node dies before
  std::function<void(size_t node, const overlay::Neighbourhood&)> on_neighbourhood;
  // If it is set, whoever sets it answers every JoinPrepared with FinishPreparation; else that takes up to prepare_max.
  std::function<void(size_t node, const overlay::Neighbourhood& future)> on_join_prepared;
  void FinishPreparation(size_t node, bool ready);

  // With watch_steps: when a node's view changed; it is in nodes().
  std::function<void(size_t node)> on_view;
  // With watch_steps: after every event that changed a view.
  std::function<void()> on_step;

 private:
  overlay::Ring& Start(size_t node);
  bool Connected(size_t a, size_t b) const { return nodes_[b].ring != nullptr && Reaches(a, b) && Reaches(b, a); }
  void Trace(size_t node, absl::string_view what);
  void Apply(size_t node, overlay::RingActions actions);
  void FindContact(size_t node);
  void FinishLookup(overlay::LookupDone done);
  void Deliver(size_t from, overlay::Call call);
  void Request(size_t from, uint64_t life, size_t to, overlay::Call call, absl::Time sent);
  void EndWatches(size_t gone);
  void Fail(size_t from, uint64_t life, size_t to, const overlay::Call& call, absl::Time sent);
  void Reply(size_t node, uint64_t life, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply);
  void Rearm(size_t node);
  void Foresee(size_t node, const overlay::Call& call, const absl::StatusOr<overlay::RingReply>& reply);
  static bool Shows(const std::optional<MemberView>& view, const overlay::Ring& ring);
  void Look(size_t node);
  void SetView(size_t node, std::optional<MemberView> view);

  Options options_;
  support::SeededRng rng_;
  absl::Time now_;
  std::vector<Node> nodes_;
  absl::flat_hash_map<std::string, size_t> by_address_;
  std::vector<std::pair<int, int>> ways_;
  std::deque<std::string> trace_;
  EventQueue events_;
  uint64_t events_done_ = 0;
  bool views_changed_ = false;
  overlay::LookupId last_lookup_ = 0;
  absl::flat_hash_map<overlay::LookupId, absl::StatusOr<overlay::LookupResult>> lookups_done_;
  absl::flat_hash_map<overlay::LookupId, LookupHandler> lookup_handlers_;
};

}  // namespace sim
