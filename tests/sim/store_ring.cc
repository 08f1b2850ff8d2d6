// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_ring.h"

#include <utility>

#include "base/check.h"
#include "base/overloaded.h"
#include "tests/dht/note_kinds.h"

namespace sim {

using dht::DhtReply;

StoreRing::StoreRing(World::Options options) : world_(std::move(options)) {
  dht::RegisterNotes(kinds_);
  world_.on_neighbourhood = [this](size_t node, const overlay::Neighbourhood& around) {
    if (IsUp(node)) Run(node, [&](const dht::Moment& m) { return nodes_[node].core->OnNeighbourhood(around, m); });
  };
  world_.on_join_prepared = [this](size_t node, const overlay::Neighbourhood& future) {
    Run(node, [&](const dht::Moment& m) { return nodes_[node].core->PrepareJoin(future, m); });
  };
}

size_t StoreRing::Add() {
  Node node;
  node.key = std::make_unique<keys::SigningKey>(keys::SigningKey::Generate(world_.rng()));
  node.disk = std::make_unique<dht::MemoryRecordStore>();
  const size_t index =
      world_.AddPeer(overlay::MakePeer(network_, node.key->public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1"));
  CHECK(index == nodes_.size());
  by_key_[node.key->public_key()] = index;
  nodes_.push_back(std::move(node));
  return index;
}

void StoreRing::Start(size_t index) {
  Node& node = nodes_[index];
  CHECK(node.core == nullptr);
  ++node.life;
  node.core =
      std::make_unique<dht::Replicator>(dht::ReplicatorOptions{.network = network_}, *node.key, kinds_, *node.disk, world_.rng());
}

void StoreRing::StartAlone(size_t node) {
  Start(node);
  world_.StartAlone(node);
}

void StoreRing::StartJoin(size_t node, const std::vector<size_t>& contacts) {
  Start(node);
  world_.StartJoin(node, contacts);
}

void StoreRing::Grow(size_t count) {
  const size_t first = Add();
  StartAlone(first);
  for (size_t i = 1; i < count; ++i) {
    StartJoin(Add(), {first + world_.rng().Below(i)});
    world_.RunFor(absl::Milliseconds(i < 20 ? 2000 : 100));
  }
  CHECK(world_.RunUntilIdeal(absl::Minutes(10)));
}

void StoreRing::Crash(size_t node) {
  nodes_[node].core.reset();
  nodes_[node].tick_at = absl::InfiniteFuture();
  if (world_.ring(node) != nullptr) world_.Crash(node);
}

void StoreRing::LoseDisk(size_t node) {
  CHECK(!IsUp(node));
  nodes_[node].disk = std::make_unique<dht::MemoryRecordStore>();
}

void StoreRing::Leave(size_t node, absl::Duration at_most) {
  Run(node, [&](const dht::Moment& m) { return nodes_[node].core->HandOver(m.now + at_most, m); });
}

std::vector<size_t> StoreRing::Members() const {
  std::vector<size_t> members;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (IsMember(i)) members.push_back(i);
  }
  return members;
}

dht::RequestId StoreRing::Expect(size_t node, Answered done) {
  const uint64_t life = nodes_[node].life;
  answers_[++last_request_] = [this, node, life, done = std::move(done)](const absl::StatusOr<DhtReply>& reply) {
    if (Lives(node, life)) done(reply);
  };
  return last_request_;
}

void StoreRing::Put(size_t node, dht::Record record, Answered done) {
  const dht::RequestId id = Expect(node, std::move(done));
  Run(node, [&](const dht::Moment& m) { return nodes_[node].core->OnPut(id, std::move(record), /*pass_on=*/true, m); });
}

void StoreRing::Get(size_t node, const dht::RecordName& name, Answered done) {
  const dht::RequestId id = Expect(node, std::move(done));
  Run(node, [&](const dht::Moment& m) { return nodes_[node].core->OnGet(id, name, /*pass_on=*/true, m); });
}

void StoreRing::List(size_t node, const overlay::NodeId& point, Listed done) {
  const uint64_t life = nodes_[node].life;
  listings_[++last_request_] = [this, node, life, point, done = std::move(done)](bool complete) {
    if (!Lives(node, life)) return;
    std::vector<dht::Record> records;
    const absl::Status read = nodes_[node].disk->ForEach(point, dht::Kind::kEnvelope, world_.Clock(node),
                                                         [&](const dht::Record& record) { records.push_back(record); });
    done(complete && read.ok(), records);
  };
  Run(node, [&, id = last_request_](const dht::Moment& m) { return nodes_[node].core->OnSyncPlace(id, point, m); });
}

template <typename Event>
void StoreRing::Run(size_t node, Event event) {
  Do(node, event(Now(node)));
  if (IsUp(node)) Arm(node);
}

void StoreRing::Arm(size_t index) {
  Node& node = nodes_[index];
  const absl::Time next = std::max(world_.FromClock(index, node.core->NextTick()), world_.now());
  if (next >= node.tick_at || next == absl::InfiniteFuture()) return;
  node.tick_at = next;
  world_.At(next, [this, index, next, life = node.life] {
    if (!Lives(index, life) || nodes_[index].tick_at != next) return;
    nodes_[index].tick_at = absl::InfiniteFuture();
    Run(index, [&](const dht::Moment& m) { return nodes_[index].core->OnTick(m); });
  });
}

void StoreRing::Do(size_t index, dht::DhtActions actions) {
  const uint64_t life = nodes_[index].life;
  for (dht::DhtAction& action : actions) {
    std::visit(base::Overloaded{[&](dht::Call& call) { Send(index, std::move(call)); },
                                [&](dht::Lookup& lookup) { FindOwners(index, lookup); },
                                [&](dht::Respond& respond) {
                                  auto waiting = answers_.extract(respond.id);
                                  if (waiting)
                                    world_.At(world_.now(), [done = waiting.mapped(), reply = respond.reply] { done(reply); });
                                },
                                [&](dht::Write& write) { Write(index, std::move(write)); },
                                [&](dht::PlaceSynced& synced) {
                                  auto waiting = listings_.extract(synced.id);
                                  if (waiting)
                                    world_.At(world_.now(),
                                              [done = waiting.mapped(), complete = synced.complete] { done(complete); });
                                },
                                [&](dht::JoinReady& ready) {
                                  world_.At(world_.now(), [this, index, life, ok = ready.status.ok()] {
                                    if (Lives(index, life)) world_.FinishPreparation(index, ok);
                                  });
                                },
                                [&](dht::HandedOver&) {
                                  world_.At(world_.now(), [this, index, life] {
                                    if (!Lives(index, life)) return;
                                    world_.Leave(index);
                                    world_.At(world_.now() + absl::Seconds(1), [this, index, life] {
                                      if (Lives(index, life)) Crash(index);
                                    });
                                  });
                                },
                                [&](dht::ClearSuspect&) { CHECK(nodes_[index].disk->ClearSuspect().ok()); }},
               action);
  }
}

void StoreRing::Send(size_t from, dht::Call call) {
  const size_t to = by_key_.at(call.to.node_key);
  auto answered = std::make_shared<bool>(false);
  const auto answer = [this, from, life = nodes_[from].life, id = call.id, answered](const absl::StatusOr<DhtReply>& reply) {
    if (!Lives(from, life) || std::exchange(*answered, true)) return;
    Run(from, [&](const dht::Moment& m) { return nodes_[from].core->OnReply(id, reply, m); });
  };
  world_.At(world_.now() + call.timeout, [answer] { answer(absl::DeadlineExceededError("silence")); });
  world_.At(world_.now() + world_.Delay(), [this, from, to, request = std::move(call.request), answer]() mutable {
    Deliver(from, to, std::move(request), answer);
  });
}

void StoreRing::Deliver(size_t from, size_t to, dht::DhtRequest request, const Answer& answer) {
  if (!world_.Reaches(from, to)) return;
  // The machine of a process that has ended refuses the call, if it is there itself.
  if (!IsUp(to)) {
    if (world_.rng().Below(10) < 7)
      world_.At(world_.now() + world_.Delay(), [answer] { answer(absl::UnavailableError("dead")); });
    return;
  }
  const dht::RequestId id = Expect(to, [this, from, to, answer](const absl::StatusOr<DhtReply>& reply) {
    if (world_.Reaches(to, from)) world_.At(world_.now() + world_.Delay(), [answer, reply] { answer(reply); });
  });
  const overlay::Peer& peer = world_.nodes()[from].peer;
  const dht::DhtCaller caller{peer.node_key, {peer}};
  Run(to, [&](const dht::Moment& m) { return nodes_[to].core->OnRequest(id, caller, std::move(request), m); });
}

void StoreRing::Write(size_t index, dht::Write write) {
  const absl::Duration takes = kDiskMin + (kDiskMax - kDiskMin) * world_.rng().Unit();
  // The disk may have been exchanged by the time a write of a dead process would reach it.
  world_.At(world_.now() + takes, [this, index, life = nodes_[index].life, disk = nodes_[index].disk.get(),
                                   reaches = world_.rng().Below(2) == 0, write = std::move(write)] {
    const bool lives = Lives(index, life);
    if (nodes_[index].disk.get() != disk || nodes_[index].life != life || (!lives && !reaches)) return;
    CHECK(disk->Apply(write.batch).ok());
    if (on_written) on_written(index, write.batch);
    if (lives) Run(index, [&](const dht::Moment& m) { return nodes_[index].core->OnApplied(write.id, absl::OkStatus(), m); });
  });
}

void StoreRing::FindOwners(size_t index, const dht::Lookup& lookup) {
  if (world_.ring(index) == nullptr) return;  // on its way out
  world_.StartLookup(
      index, lookup.point,
      [this, index, life = nodes_[index].life, id = lookup.id](const absl::StatusOr<overlay::LookupResult>& found) {
        if (!Lives(index, life)) return;
        using Owners = absl::StatusOr<std::vector<overlay::Peer>>;
        const Owners owners = found.ok() ? Owners(found->storing) : Owners(found.status());
        Run(index, [&](const dht::Moment& m) { return nodes_[index].core->OnOwners(id, owners, m); });
      });
}

}  // namespace sim
