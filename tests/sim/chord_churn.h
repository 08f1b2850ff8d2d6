// SPDX-License-Identifier: Apache-2.0
// tests/sim/chord_churn.h — many real Ring cores under churn and lookups, lean enough for 100,000 of them. Starts ideal.
//
// Joins, departures and lookups are three Poisson processes. A lookup answers with the owner and who follows it; whoever asked
// turns to the first of them that lives, and each dead one before it is a timeout. It is right if that is the first live member
// at or after the point, when it started or when it ended. One whose asker goes away is not counted. A member counts as soon as
// it says that it is one, though its predecessor may not know it yet. Departures that are no leaves are silent crashes: calls to
// the dead time out.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tests/sim/chord_ideal.h"
#include "tests/sim/delay_models.h"
#include "tests/sim/event_queue.h"
#include "tests/support/seeded_rng.h"

namespace sim {

struct ChurnOptions {
  uint64_t seed = 1;
  size_t nodes = 1000;
  overlay::Ring::Options ring;
  absl::Duration delay_min = absl::Milliseconds(1), delay_max = absl::Milliseconds(60);  // one way
  std::optional<Delays::Model> delays;                   // instead of these: by where the nodes are; only if none joins
  absl::Duration prepare_max = absl::Milliseconds(300);  // from JoinPrepared to OnRangeReady
  double joins_per_s = 0, departures_per_s = 0, lookups_per_s = 0;
  double leave_share = 0;    // of departures: told to the neighbours
  bool count_bytes = false;  // as they would be on the wire, without TLS, HTTP/2 and gRPC
};

struct ChurnCounts {
  uint64_t lookups = 0, right = 0, wrong = 0, failed = 0;  // failed: said that it found nobody
  uint64_t right_at_once = 0;                              // right, and the owner named lived
  std::vector<double> hops, timeouts;                      // of the lookups counted; timeouts of all its tries
  std::vector<double> stretch;                             // with `delays`, of the right ones: time over a message there and back
  uint64_t joins = 0, departures = 0, events = 0, calls = 0, bytes = 0;
};

class ChurnWorld {
 public:
  explicit ChurnWorld(ChurnOptions options);

  void RunFor(absl::Duration span);
  // What happened since the last time.
  ChurnCounts TakeCounts();
  size_t members() const { return members_.size(); }
  // Members whose successor is the next member.
  size_t RightSuccessors() const;

 private:
  struct Node {
    overlay::Peer peer;
    std::unique_ptr<overlay::Ring> ring;  // null: gone
    absl::Time tick_at = absl::InfiniteFuture();
    bool member = false;
  };
  struct OpenLookup {
    size_t node;
    overlay::NodeId point, owner_at_start;
    absl::Time started;
    int timeouts = 0;
  };
  void At(absl::Time when, absl::AnyInvocable<void()> run) { events_.Add(when, std::move(run)); }
  absl::Duration Delay(size_t from, size_t to);
  void Poisson(double per_second, void (ChurnWorld::*what)());
  void Join();
  void Depart();
  void Lookup();
  void Crash(size_t index);
  void Apply(size_t index, overlay::RingActions actions);
  void Deliver(size_t from, overlay::Call call);
  void Reply(size_t index, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply);
  void CountTimeout(size_t index, const overlay::RingRequest& request);
  void OnLookupDone(const overlay::LookupDone& done);
  void Rearm(size_t index);
  const overlay::NodeId& TrueOwner(const overlay::NodeId& point) const;
  size_t RandomMember();

  ChurnOptions options_;
  support::SeededRng rng_;
  std::optional<Delays> delays_;
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  std::vector<Node> nodes_;
  std::vector<size_t> live_;
  absl::flat_hash_map<overlay::NodeId, size_t> by_point_;
  std::set<overlay::NodeId> members_;
  EventQueue events_;
  overlay::LookupId last_lookup_ = 0;
  absl::flat_hash_map<overlay::LookupId, OpenLookup> lookups_;
  ChurnCounts counts_;
};

}  // namespace sim
