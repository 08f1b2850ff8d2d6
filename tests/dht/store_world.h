// SPDX-License-Identifier: Apache-2.0
// tests/dht/store_world.h — many real Replicator cores over memory stores, under virtual time; the ring is an oracle's.
//
// Everything that happens is a task at a time; delays come from the seed. Each node hears of a change of the ring at a time of
// its own, so views differ for a while. A crashed node loses what it has not written, and answers nobody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/overloaded.h"
#include "dht/memory_record_store.h"
#include "dht/replicator.h"
#include "tests/dht/note_kinds.h"
#include "tests/dht/oracle_ring.h"
#include "tests/support/seeded_rng.h"

namespace dht {

class StoreWorld {
 public:
  struct Node {
    Node(StoreWorld& world, overlay::Role role)
        : key(keys::SigningKey::Generate(world.rng_)),
          peer(PeerOf(world.network_, key, role)),
          store(std::make_unique<MemoryRecordStore>()) {
      Restart(world);
    }
    void Restart(StoreWorld& world) {
      core = std::make_unique<Replicator>(ReplicatorOptions{.network = world.network_, .bytes_max = world.bytes_max_}, key, world.kinds_, *store, world.rng_);
      alive = true;
      ++life;
    }

    keys::SigningKey key;
    overlay::Peer peer;
    std::unique_ptr<MemoryRecordStore> store;
    std::unique_ptr<Replicator> core;
    bool alive = true;
    absl::Duration skew;  // of its wall clock
    absl::Duration lag;   // of calls to it
    int life = 0;  // answers and ticks of an earlier life are dropped
    absl::Time tick_at = absl::InfiniteFuture();
    std::function<void(absl::Status)> on_joined;
    std::function<void(bool)> on_handed_over;
  };
  using Answered = std::function<void(const absl::StatusOr<DhtReply>&)>;

  explicit StoreWorld(uint64_t seed) : rng_(seed) { RegisterNotes(kinds_); }
  void set_bytes_max(uint64_t bytes_max) { bytes_max_ = bytes_max; }  // of nodes made from now on

  absl::Time now() const { return now_; }
  support::SeededRng& rng() { return rng_; }
  OracleRing& ring() { return ring_; }
  const overlay::Network& network() const { return network_; }
  const RecordKinds& kinds() const { return kinds_; }
  std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }

  Node& NewNode(overlay::Role role = overlay::Role::kStoring) {
    nodes_.push_back(std::make_unique<Node>(*this, role));
    by_key_[nodes_.back()->peer.node_key] = nodes_.back().get();
    return *nodes_.back();
  }
  // A member at once, without a download: for the first nodes.
  Node& AddMember(overlay::Role role = overlay::Role::kStoring) {
    Node& node = NewNode(role);
    Enter(node);
    return node;
  }
  void Join(Node& node) {
    node.on_joined = [this, &node](const absl::Status& status) {
      if (status.ok()) Enter(node);
      failed_joins_ += status.ok() ? 0 : 1;
    };
    Run(node, [&](const Moment& m) { return node.core->PrepareJoin(ring_.Around(node.peer, /*member=*/false), m); });
  }
  void Leave(Node& node, absl::Duration deadline, std::function<void(bool)> done) {
    node.on_handed_over = [this, &node, done](bool complete) {
      Exit(node);
      done(complete);
    };
    Run(node, [&](const Moment& m) { return node.core->HandOver(now_ + deadline, m); });
  }
  void Kill(Node& node) { Exit(node); }
  // Changes what a node's disk holds while it is down for a moment.
  void ChangeDisk(Node& node, const WriteBatch& batch) {
    CHECK(node.store->Apply(batch).ok());
    node.tick_at = absl::InfiniteFuture();
    node.Restart(*this);
    if (ring_.Has(node.peer)) Tell(node);
  }

  std::vector<Node*> Members(bool storing_only) {
    std::vector<Node*> members;
    for (const auto& node : nodes_) {
      const bool fits = !storing_only || node->peer.role == overlay::Role::kStoring;
      if (node->alive && fits && ring_.Has(node->peer)) members.push_back(node.get());
    }
    return members;
  }
  Node& Pick(bool storing_only) {
    const std::vector<Node*> members = Members(storing_only);
    return *members[rng_.Below(members.size())];
  }

  void Put(Node& node, Record record, bool pass_on, Answered done) {
    const RequestId id = Expect(std::move(done));
    Run(node, [&](const Moment& m) { return node.core->OnPut(id, std::move(record), pass_on, m); });
  }
  void Get(Node& node, const RecordName& name, bool pass_on, Answered done) {
    const RequestId id = Expect(std::move(done));
    Run(node, [&](const Moment& m) { return node.core->OnGet(id, name, pass_on, m); });
  }
  void SyncPlace(Node& node, const overlay::NodeId& point, std::function<void(bool)> done) {
    place_waiters_[++last_request_] = std::move(done);
    Run(node, [&, id = last_request_](const Moment& m) { return node.core->OnSyncPlace(id, point, m); });
  }
  // A message from a process with that key, whatever it is.
  void Request(Node& node, const DhtCaller& caller, DhtRequest request, Answered done) {
    const RequestId id = Expect(std::move(done));
    Run(node, [&](const Moment& m) { return node.core->OnRequest(id, caller, std::move(request), m); });
  }

  void At(absl::Duration after, std::function<void()> task) {
    tasks_.emplace(std::make_pair(now_ + after, ++last_task_), std::move(task));
  }
  void RunFor(absl::Duration span) {
    const absl::Time end = now_ + span;
    while (!tasks_.empty() && tasks_.begin()->first.first <= end) {
      auto task = tasks_.extract(tasks_.begin());
      now_ = std::max(now_, task.key().first);
      task.mapped()();
    }
    now_ = end;
  }

  // Live storing members that hold the record.
  std::vector<overlay::Peer> HoldersOf(const RecordName& name) {
    std::vector<overlay::Peer> holders;
    for (Node* node : Members(/*storing_only=*/true)) {
      if (node->store->Holds(name, now_)) holders.push_back(node->peer);
    }
    return holders;
  }
  int failed_joins() const { return failed_joins_; }
  // Made so far, by all nodes.
  template <typename Request>
  size_t calls_of() const {
    return calls_[DhtRequest(Request{}).index()];
  }

 private:
  absl::Duration Delay(int least_ms, int most_ms) {
    return absl::Milliseconds(least_ms) +
           absl::Microseconds(static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(most_ms - least_ms) * 1000)));
  }
  RequestId Expect(Answered done) {
    answers_[++last_request_] = std::move(done);
    return last_request_;
  }

  void Enter(Node& node) {
    ring_.Add(node.peer);
    Tell(node);
    for (const auto& other : nodes_) TellLater(*other);
  }
  void Exit(Node& node) {
    ring_.Remove(node.peer);
    node.alive = false;
    ++node.life;
    for (const auto& other : nodes_) TellLater(*other);
  }
  void Tell(Node& node) {
    Run(node, [&](const Moment& m) { return node.core->OnNeighbourhood(ring_.Around(node.peer, ring_.Has(node.peer)), m); });
  }
  void TellLater(Node& node) {
    At(Delay(50, 900), [this, &node, life = node.life] {
      if (node.alive && node.life == life && ring_.Has(node.peer)) Tell(node);
    });
  }

  template <typename Event>
  void Run(Node& node, Event event) {
    if (!node.alive) return;
    Do(node, event(Moment{now_, now_ + node.skew}));
    Arm(node);
  }
  void Arm(Node& node) {
    const absl::Time next = std::max(node.core->NextTick(), now_);
    if (next >= node.tick_at && node.tick_at > now_) return;
    node.tick_at = next;
    At(next - now_, [this, &node, life = node.life, next] {
      if (!node.alive || node.life != life || node.tick_at != next) return;
      node.tick_at = absl::InfiniteFuture();
      Run(node, [&](const Moment& m) { return node.core->OnTick(m); });
    });
  }

  void Do(Node& node, DhtActions actions) {
    for (DhtAction& action : actions) {
      std::visit(
          base::Overloaded{
              [&](Call& call) { Send(node, std::move(call)); },
              [&](Lookup& lookup) {
                At(Delay(1, 30), [this, &node, life = node.life, lookup] {
                  if (node.life != life) return;
                  Run(node, [&](const Moment& m) { return node.core->OnOwners(lookup.id, ring_.Holders(lookup.point, 4), m); });
                });
              },
              [&](Respond& respond) {
                auto waiting = answers_.extract(respond.id);
                if (waiting) At(absl::ZeroDuration(), [done = waiting.mapped(), reply = respond.reply] { done(reply); });
              },
              [&](Write& write) { Apply(node, std::move(write)); },
              [&](PlaceSynced& synced) {
                auto waiting = place_waiters_.extract(synced.id);
                if (waiting) At(absl::ZeroDuration(), [done = waiting.mapped(), synced] { done(synced.complete); });
              },
              [&](JoinReady& ready) { At(absl::ZeroDuration(), [&node, ready] { node.on_joined(ready.status); }); },
              [&](HandedOver& handed) { At(absl::ZeroDuration(), [&node, handed] { node.on_handed_over(handed.complete); }); },
              [&](ClearSuspect&) { (void)node.store->ClearSuspect(); },
          },
          action);
    }
  }

  void Send(Node& from, Call call) {
    Node& to = *by_key_.at(call.to.node_key);
    ++calls_[call.request.index()];
    auto answered = std::make_shared<bool>(false);
    const auto answer = [this, &from, life = from.life, id = call.id, answered](absl::StatusOr<DhtReply> reply) {
      if (from.life != life || std::exchange(*answered, true)) return;
      Run(from, [&](const Moment& m) { return from.core->OnReply(id, reply, m); });
    };
    At(call.timeout, [answer] { answer(absl::DeadlineExceededError("")); });
    At(Delay(1, 20) + to.lag, [this, &to, caller = DhtCaller{from.peer.node_key, {from.peer}}, request = call.request, answer] {
      Request(to, caller, request,
              [this, answer](const absl::StatusOr<DhtReply>& reply) { At(Delay(1, 20), [answer, reply] { answer(reply); }); });
    });
  }

  void Apply(Node& node, Write write) {
    At(Delay(1, 6), [this, &node, life = node.life, write = std::move(write)] {
      if (node.life != life) return;
      const absl::Status status = node.store->Apply(write.batch);
      Run(node, [&](const Moment& m) { return node.core->OnApplied(write.id, status, m); });
    });
  }

  support::SeededRng rng_;
  const overlay::Network network_ = overlay::Network::Local();
  RecordKinds kinds_;
  uint64_t bytes_max_ = ReplicatorOptions().bytes_max;
  OracleRing ring_;
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  std::map<std::pair<absl::Time, uint64_t>, std::function<void()>> tasks_;
  uint64_t last_task_ = 0;
  RequestId last_request_ = 1ull << 32;  // apart from ids of the cores, so that a mix-up shows
  std::map<RequestId, Answered> answers_;
  std::map<RequestId, std::function<void(bool)>> place_waiters_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<keys::PublicKey, Node*> by_key_;
  int failed_joins_ = 0;
  std::array<size_t, std::variant_size_v<DhtRequest>> calls_{};
};

}  // namespace dht
