// SPDX-License-Identifier: Apache-2.0
// Whole ring drivers and their gossip: honest nodes are never convicted, whatever happens to them; a liar loses its place.
#include "overlay/contradiction_gossip_driver.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "overlay/ring_driver.h"
#include "overlay/ring_wire.h"
#include "tests/overlay/memory_rpc.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

// The loop of one machine: its own wall clock on everybody's steady time.
class MachineLoop : public base::EventLoop {
 public:
  explicit MachineLoop(support::ManualLoop& loop) : loop_(loop) {}
  absl::Time Now() const override { return loop_.Now(); }
  absl::Time WallNow() const override { return loop_.Now() + error; }
  void Post(Task task) override { loop_.Post(std::move(task)); }
  TimerId At(absl::Time when, Task task) override { return loop_.At(when, std::move(task)); }
  void Cancel(TimerId timer) override { loop_.Cancel(timer); }
  void RunSlow(Task work, Task done) override { loop_.RunSlow(std::move(work), std::move(done)); }

  absl::Duration error;

 private:
  support::ManualLoop& loop_;
};

// A machine with a key and a disk, and its node while that runs.
struct Machine {
  Machine(MemoryNet& in, base::Rng& from, int port, const Network& on)
      : net(in),
        rng(from),
        network(on),
        key(keys::SigningKey::Generate(from)),
        address(absl::StrCat("127.0.0.1:", port)),
        loop(in.loop) {}

  struct Node {
    explicit Node(Machine& m)
        : server(m.net, m.address, m.key.public_key()),
          client(m.net, m.key.public_key()),
          directory(m.network),
          ring({.network = m.network,
                .address = m.address,
                .tables_until = m.disk,
                .keep_tables_until = [&m](absl::Time until, auto done) { m.Keep(until, std::move(done)); }},
               m.key, m.loop, server, client, directory, m.rng),
          gossip(
              m.network, m.key.public_key(), [this] { return ring.IsMember() ? ring.table().Members() : std::vector<Peer>{}; },
              m.loop, server, client, directory, m.rng) {}

    MemoryServer server;
    MemoryClient client;
    Directory directory;
    RingDriver ring;
    ContradictionGossip gossip;
  };
  void Kill() {
    node.reset();
    ++life;
  }
  // What its disk does with a time; a process that is killed meanwhile has written the whole of it or nothing.
  void Keep(absl::Time until, std::function<void(absl::Status)> done) {
    if (disk_is == Disk::kFails || (disk_is == Disk::kFlaky && rng.Below(2) == 0)) {
      return loop.Post([done = std::move(done)] { done(absl::ResourceExhaustedError("full")); });
    }
    if (disk_is == Disk::kLies) return done(absl::OkStatus());
    if (disk_is == Disk::kWorks) {
      disk = until;
      return done(absl::OkStatus());
    }
    loop.At(loop.Now() + absl::Milliseconds(rng.Below(1500)), [this, until, of = life, done = std::move(done)] {
      if (life != of) return;
      disk = until;
      loop.At(loop.Now() + absl::Milliseconds(rng.Below(500)), [this, of, done] {
        if (life == of) done(absl::OkStatus());
      });
    });
  }
  void Start() {
    Kill();
    node = std::make_unique<Node>(*this);
    const int bootstrap = address == "127.0.0.1:10001" ? 10002 : 10001;
    node->ring.Join({{absl::StrCat("127.0.0.1:", bootstrap), std::nullopt}}, absl::Hours(100), [](const absl::Status&) {});
  }
  // What it would show now, of every virtual node.
  void Collect() {
    for (size_t i = 0; node != nullptr && i < node->ring.virtual_nodes(); ++i) {
      if (!node->ring.virtual_node(i).IsMember()) continue;
      const RoutingTable* table = node->ring.signed_table(i);
      if (table == nullptr) continue;
      if (shown.empty() || shown.back().encoded != table->head) shown.push_back(HeadOf(*table));
    }
  }
  int Contradictions() const {
    int count = 0;
    for (size_t i = 0; i < shown.size(); ++i) {
      for (size_t j = 0; j < i; ++j) count += Contradict(shown[i], shown[j]) ? 1 : 0;
    }
    return count;
  }

  MemoryNet& net;
  base::Rng& rng;
  const Network network;
  const keys::SigningKey key;
  const std::string address;
  MachineLoop loop;
  enum class Disk {
    kWorks,  // at once
    kSlow,   // after a while, and says so after another
    kFlaky,  // as slow, and half of the time it fails
    kFails,
    kLies,  // says that it kept what it did not
  };
  std::optional<absl::Time> disk = absl::UnixEpoch();
  Disk disk_is = Disk::kWorks;
  uint64_t life = 0;             // one more with each process that ends
  std::vector<TableHead> shown;  // everything it ever signed, a table that was shown twice maybe twice
  std::unique_ptr<Node> node;
};

class ContradictionGossipTest : public testing::Test {
 protected:
  void Grow(size_t count) {
    for (size_t i = 0; i < count; ++i) Add();
    machines_[0]->node->ring.Create();
    for (size_t i = 1; i < count; ++i) machines_[i]->Start();
    loop_.RunFor(absl::Minutes(2));
    for (const auto& machine : machines_) EXPECT_GE(machine->node->ring.successors().size(), std::min<size_t>(count - 1, 8));
  }
  Machine& Add() {
    machines_.push_back(std::make_unique<Machine>(net_, rng_, 10001 + static_cast<int>(machines_.size()), network_));
    machines_.back()->node = std::make_unique<Machine::Node>(*machines_.back());
    return *machines_.back();
  }
  size_t Convicted(const Machine& machine) {
    size_t count = 0;
    for (const auto& other : machines_) {
      if (other->node != nullptr &&
          other->node->directory.convictions().IsConvicted(machine.key.public_key(), other->loop.WallNow())) {
        ++count;
      }
    }
    return count;
  }
  // From now on it shows every second asker another table, for the same time.
  void MakeLiar(Machine& machine) {
    machine.node->server.handlers[kMethodTable] = [this, &machine, asked = 0](const Caller&, const std::string&,
                                                                              const RpcResponder& respond) mutable {
      RoutingTable table = machine.node->ring.table();
      if (++asked % 2 == 0) {
        table.fingers.clear();
        table.successors.resize(1);
        SignTable(network_, machine.key, table, table.issued, table.after);
      }
      respond(EncodeTableReply(table.encoded));
    };
  }
  // Hours of honest life: nodes die and come back under their keys at once or later, clocks are set forth and back.
  void LiveThrough(int rounds, Machine::Disk disks) {
    for (int round = 0; round < rounds; ++round) {
      Machine& machine = *machines_[1 + rng_.Below(machines_.size() - 1)];
      machine.disk_is = disks;
      switch (rng_.Below(4)) {
        case 0:
          if (machine.node == nullptr) {
            machine.Start();
          } else {
            machine.Kill();
          }
          break;
        case 1:  // a crash and a new start within the second
          machine.Start();
          break;
        case 2:  // the clock is set, by up to twenty minutes either way
          machine.loop.error = absl::Seconds(static_cast<int>(rng_.Below(2400)) - 1200);
          break;
        case 3:  // both
          machine.Kill();
          machine.loop.error = -absl::Seconds(static_cast<int>(rng_.Below(1200)));
          machine.Start();
          break;
      }
      for (int i = 0; i < 40; ++i) {
        loop_.RunFor(absl::Milliseconds(100 + static_cast<int>(rng_.Below(2000))));
        for (const auto& each : machines_) each->Collect();
      }
    }
  }
  int Contradictions() const {
    int count = 0;
    for (const auto& machine : machines_) count += machine->Contradictions();
    return count;
  }
  void ExpectHonest() const {
    EXPECT_EQ(Contradictions(), 0);
    for (const auto& machine : machines_) {
      if (machine->node == nullptr) continue;
      EXPECT_TRUE(machine->node->directory.convictions().Caught(machine->loop.WallNow()).empty());
    }
  }
  // As a stranger gets it.
  absl::Status TableOf(const Machine& machine) {
    MemoryClient stranger(net_, keys::PublicKey{{9}});
    absl::Status status = absl::InternalError("never called");
    stranger.Call({machine.address, std::nullopt}, kMethodTable, EncodeTableQuestion(0), absl::Seconds(2),
                  [&](const absl::StatusOr<RpcAnswer>& answer) { status = answer.status(); });
    loop_.RunFor(absl::Seconds(3));
    return status;
  }
  base::Bytes ProofOfStranger(absl::Time issued) {
    const keys::SigningKey key = keys::SigningKey::Generate(rng_);
    RoutingTable one, other;
    one.owner = other.owner = MakePeer(network_, key.public_key(), 0, Role::kStoring, "127.0.0.1:1");
    one.successors = {MakePeer(network_, keys::PublicKey{{1}}, 0, Role::kStoring, "127.0.0.1:2")};
    SignTable(network_, key, one, issued);
    SignTable(network_, key, other, issued);
    return MakeContradiction(HeadOf(one), HeadOf(other)).encoded;
  }
  base::Bytes ProofOf(const Machine& liar) {
    RoutingTable one = *liar.node->ring.signed_table(), other = one;
    other.fingers.clear();
    other.successors.clear();
    SignTable(network_, liar.key, one, one.issued, one.after);
    SignTable(network_, liar.key, other, one.issued, one.after);
    return MakeContradiction(HeadOf(one), HeadOf(other)).encoded;
  }
  size_t Shown() const {
    size_t count = 0;
    for (const auto& machine : machines_) count += machine->shown.size();
    return count;
  }
  void HonestLive(int virtual_nodes, Machine::Disk disk, size_t shown_at_least) {
    network_.virtual_nodes = virtual_nodes;
    Grow(8);
    LiveThrough(60, disk);
    EXPECT_GT(Shown(), shown_at_least);
    ExpectHonest();
  }

  support::ManualLoop loop_;
  MemoryNet net_{loop_};
  support::SeededRng rng_{3};
  Network network_;
  std::vector<std::unique_ptr<Machine>> machines_;
};

TEST_F(ContradictionGossipTest, HonestNodesNeverContradictThemselves) { HonestLive(2, Machine::Disk::kWorks, 2000); }

TEST_F(ContradictionGossipTest, NorIfTheyAreKilledBetweenKeepingATimeAndSigningForIt) {
  HonestLive(2, Machine::Disk::kSlow, 1000);
}

TEST_F(ContradictionGossipTest, NorIfHalfOfTheSavesFail) { HonestLive(1, Machine::Disk::kFlaky, 200); }

// A disk that is full: what was signed before is served for as long as it is good, and a start anew signs nothing.
TEST_F(ContradictionGossipTest, NothingIsSignedThatIsNotKnownToBeOnDisk) {
  Grow(4);
  Machine& machine = *machines_[2];
  machine.disk_is = Machine::Disk::kFails;
  loop_.RunFor(absl::Minutes(2));
  machine.Collect();
  EXPECT_LE(machine.shown.back().issued, *machine.disk);
  for (int i = 0; i < 3; ++i) {
    machine.disk = machine.shown.back().issued;  // as after a clean stop: no time is left
    machine.Start();
    loop_.RunFor(absl::Seconds(20));
    EXPECT_TRUE(machine.node->ring.IsMember());
    EXPECT_EQ(machine.node->ring.signed_table(), nullptr);
    EXPECT_TRUE(machine.node->ring.table().encoded.empty());
    EXPECT_EQ(machine.node->ring.table().Members().size(), 4u) << "unsigned, for itself";
  }
  EXPECT_STATUS(TableOf(machine), kUnavailable);
  machine.disk_is = Machine::Disk::kWorks;
  loop_.RunFor(absl::Seconds(5));
  EXPECT_OK(TableOf(machine));
  machine.Collect();
  EXPECT_EQ(machine.Contradictions(), 0);
}

// While its disk is full, others get the table of then, and the node itself goes by what it sees.
TEST_F(ContradictionGossipTest, AFullDiskLeavesANodeItsEyes) {
  Grow(4);
  Machine& machine = *machines_[2];
  loop_.RunFor(absl::Seconds(20));  // the time that is kept is over
  machine.disk_is = Machine::Disk::kFails;
  const base::Bytes before = machine.node->ring.signed_table()->encoded;
  Machine& newcomer = Add();
  newcomer.Start();
  machines_[1]->Kill();
  loop_.RunFor(absl::Minutes(1));
  const auto knows = [&](const RoutingTable& table, const Machine& whom) {
    const std::vector<Peer> members = table.Members();
    return std::any_of(members.begin(), members.end(), [&](const Peer& peer) { return peer.node_key == whom.key.public_key(); });
  };
  EXPECT_EQ(machine.node->ring.signed_table()->encoded, before);
  EXPECT_OK(TableOf(machine));
  EXPECT_TRUE(knows(machine.node->ring.table(), newcomer));
  EXPECT_FALSE(knows(machine.node->ring.table(), *machines_[1]));
  EXPECT_TRUE(machine.node->directory.IsProtected(newcomer.key.public_key()));
  machine.disk_is = Machine::Disk::kWorks;
  loop_.RunFor(absl::Seconds(5));
  EXPECT_TRUE(knows(*machine.node->ring.signed_table(), newcomer));
}

// What was signed before may be as far ahead of the clock as times are kept ahead, and a little more after a start.
TEST_F(ContradictionGossipTest, AFileThatIsLostCostsTwelveSecondsAndNoContradiction) {
  Grow(4);
  Machine& machine = *machines_[2];
  for (int i = 0; i < 60; ++i) {
    if (i % 3 == 2) machine.disk = std::nullopt;  // after a run, a kill and another run
    machine.Start();
    const uint64_t longest = i % 3 == 2 ? 40'000 : 6000;
    for (const absl::Time end = loop_.Now() + absl::Milliseconds(1000 + rng_.Below(longest)); loop_.Now() < end;) {
      loop_.RunFor(absl::Milliseconds(50));
      machine.Collect();
    }
  }
  EXPECT_GT(machine.shown.size(), 5u);
  EXPECT_EQ(machine.Contradictions(), 0);
}

// A process that crashes every three seconds for an hour: clients refuse what is an hour ahead.
TEST_F(ContradictionGossipTest, StartingAgainAndAgainDoesNotDriveTheTimesAhead) {
  Grow(4);
  Machine& machine = *machines_[2];
  for (int i = 0; i < 200; ++i) {
    machine.Start();
    loop_.RunFor(absl::Seconds(3));
    machine.Collect();
  }
  EXPECT_LT(machine.shown.back().issued, loop_.WallNow() + absl::Minutes(1));
  EXPECT_EQ(machine.Contradictions(), 0);
}

TEST_F(ContradictionGossipTest, WithoutItsDiskANodeWhoseClockGoesBackWouldContradictItself) {
  Grow(8);
  LiveThrough(60, Machine::Disk::kLies);
  EXPECT_GT(Contradictions(), 0);
}

TEST_F(ContradictionGossipTest, AProofReachesEverybodyAndTheLiarLosesItsPlace) {
  Grow(12);
  Machine& liar = *machines_[7];
  std::vector<base::Bytes> found;
  for (const auto& machine : machines_) {
    machine->node->directory.convictions().on_found = [&](const Contradiction& proof) { found.push_back(proof.encoded); };
  }
  MakeLiar(liar);
  loop_.RunFor(absl::Minutes(20));
  ASSERT_FALSE(found.empty()) << "who looks twice sees both";
  EXPECT_EQ(Convicted(liar), 0u) << "who found it keeps still";
  machines_[2]->node->gossip.HearFromCircuit(found[0]);
  loop_.RunFor(absl::Minutes(1));
  EXPECT_GE(Convicted(liar), 11u);
  for (const auto& machine : machines_) {
    if (machine.get() == &liar) continue;
    EXPECT_EQ(machine->node->ring.successors().size(), 8u);
    for (const Peer& peer : machine->node->ring.table().Members()) EXPECT_NE(peer.node_key, liar.key.public_key());
  }
  EXPECT_FALSE(liar.node->ring.IsMember());
  // A newcomer asks; and the liar does not come back under this key.
  Machine& newcomer = Add();
  newcomer.Start();
  liar.node.reset();
  liar.Start();
  loop_.RunFor(absl::Minutes(2));
  EXPECT_TRUE(newcomer.node->directory.convictions().IsConvicted(liar.key.public_key(), loop_.WallNow()));
  EXPECT_TRUE(newcomer.node->ring.IsMember());
  EXPECT_FALSE(liar.node->ring.IsMember());
}

TEST_F(ContradictionGossipTest, NobodyCanBeConvictedByWhatOthersSign) {
  Grow(6);
  const Machine& victim = *machines_[3];
  const keys::SigningKey forger = keys::SigningKey::Generate(rng_);
  RoutingTable forged = victim.node->ring.table();
  forged.successors.clear();
  SignTable(network_, forger, forged, forged.issued, forged.after);
  const TableHead truth = HeadOf(victim.node->ring.table());
  const base::Bytes proof = MakeContradiction(truth, HeadOf(forged)).encoded;
  for (const auto& machine : machines_) machine->node->gossip.HearFromCircuit(proof);
  loop_.RunFor(absl::Minutes(1));
  EXPECT_EQ(Convicted(victim), 0u);
}

// They come in the order of keys, and those of strangers cost nothing to make: all before that of a neighbour.
TEST_F(ContradictionGossipTest, WhoAsksReadsOnPastStrangers) {
  Grow(5);
  Machine& asked = *machines_[0];
  Machine* liar = machines_[1].get();
  for (size_t i = 2; i < 5; ++i) {
    if (machines_[i]->key.public_key() > liar->key.public_key()) liar = machines_[i].get();
  }
  size_t before = 0;
  for (size_t i = 0; i < kStrangersMax; ++i) {
    const base::Bytes of_stranger = ProofOfStranger(loop_.WallNow());
    before += ReadAccusation(network_, of_stranger)->accused < liar->key.public_key() ? 1 : 0;
    EXPECT_OK(asked.node->directory.convictions().Hear(of_stranger, false, loop_.WallNow()));
  }
  ASSERT_GT(before, 6u * kProofsPerSource / 2);
  EXPECT_OK(asked.node->directory.convictions().Hear(ProofOf(*liar), true, loop_.WallNow()));
  loop_.RunFor(absl::Minutes(2));
  EXPECT_GE(Convicted(*liar), 4u) << "each of the others asks within ten seconds, now and then the one who has it";
}

// No place is left for one more stranger; the proof goes on all the same, once from each.
TEST_F(ContradictionGossipTest, WhatThereIsNoRoomForIsPassedOn) {
  Grow(4);
  for (size_t i = 0; i < kStrangersMax; ++i) {
    EXPECT_OK(machines_[0]->node->directory.convictions().Hear(ProofOfStranger(loop_.WallNow() + absl::Minutes(1)), false,
                                                               loop_.WallNow()));
  }
  const base::Bytes proof = ProofOfStranger(loop_.WallNow());
  int told = 0;
  auto& handler = machines_[1]->node->server.handlers[kMethodContradictions];
  handler = [&told, serve = handler](const Caller& caller, std::string request, RpcResponder respond) {
    told += DecodeContradictions(request)->proof.empty() ? 0 : 1;
    serve(caller, std::move(request), std::move(respond));
  };
  const auto convicted = [&](const Machine& machine) {
    return machine.node->directory.convictions().IsConvicted(ReadAccusation(network_, proof)->accused, loop_.WallNow());
  };
  for (int i = 0; i < 3; ++i) machines_[0]->node->gossip.HearFromCircuit(proof);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_FALSE(convicted(*machines_[0]));
  for (size_t i = 1; i < 4; ++i) EXPECT_TRUE(convicted(*machines_[i]));
  EXPECT_LE(told, 3) << "by each of the others";
}

TEST_F(ContradictionGossipTest, OneSourceIsHeardSoOftenAMinuteAndAStrangerNever) {
  Grow(3);
  const auto proof = [&] { return ProofOfStranger(loop_.WallNow()); };
  const auto tell = [&](RpcClient& client, int count) {
    for (int i = 0; i < count; ++i) {
      client.Call({machines_[0]->address, std::nullopt}, kMethodContradictions, EncodeContradictions({proof(), std::nullopt}),
                  absl::Seconds(1), [](const auto&) {});
    }
    loop_.RunFor(absl::Milliseconds(100));
    return machines_[0]->node->directory.convictions().CountConvicted(loop_.WallNow());
  };
  MemoryClient stranger(net_, keys::PublicKey{{9}});
  EXPECT_EQ(tell(stranger, 10), 0u);
  constexpr size_t kOfStrangers = kProofsPerSource / 2;  // the other half is for nodes that one lives by
  EXPECT_EQ(tell(machines_[1]->node->client, 3 * kProofsPerSource), kOfStrangers);
  EXPECT_EQ(tell(machines_[2]->node->client, 5), kOfStrangers + 5) << "that cost others nothing";
  loop_.RunFor(absl::Minutes(2));
  EXPECT_EQ(machines_[2]->node->directory.convictions().CountConvicted(loop_.WallNow()), kOfStrangers + 5)
      << "passed on, within the bounds of each";
  // Whoever is drowned in proofs about strangers still hears of one whom it lives by, by the same way.
  for (int i = 0; i < 2 * kProofsPerMinute; ++i) machines_[0]->node->gossip.HearFromCircuit(proof());
  machines_[0]->node->gossip.HearFromCircuit(ProofOf(*machines_[1]));
  EXPECT_EQ(Convicted(*machines_[1]), 1u);
}

}  // namespace
}  // namespace overlay
