// SPDX-License-Identifier: Apache-2.0
// Processes with four virtual nodes each: whole drivers of ring and store over calls in memory, under virtual time; and what a
// process makes of its neighbourhoods, against the sorted list of all points.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "dht/dht_driver.h"
#include "dht/memory_record_store.h"
#include "overlay/introduce.h"
#include "overlay/ring_driver.h"
#include "overlay/successor_list.h"
#include "tests/overlay/memory_rpc.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

using overlay::NodeId;
using overlay::Peer;

constexpr int kVirtualNodes = 4;
constexpr size_t kReplicas = 3;

overlay::Network NetworkOfFour() {
  overlay::Network network = overlay::Network::Local();
  network.name = "local+v4";
  network.virtual_nodes = kVirtualNodes;
  return network;
}

// All points in order, from the one at or after `point` on.
std::vector<Peer> From(const NodeId& point, std::vector<Peer> all) {
  std::sort(all.begin(), all.end(),
            [&](const Peer& a, const Peer& b) { return overlay::Distance(point, a.point) < overlay::Distance(point, b.point); });
  return all;
}

std::vector<keys::PublicKey> HoldersOf(const NodeId& point, const std::vector<Peer>& all, size_t count = kReplicas) {
  std::vector<keys::PublicKey> holders;
  for (const Peer& peer : From(point, all)) {
    if (holders.size() == count) break;
    if (peer.role != overlay::Role::kStoring) continue;
    if (std::find(holders.begin(), holders.end(), peer.node_key) == holders.end()) holders.push_back(peer.node_key);
  }
  return holders;
}

// --- Neighbourhoods ---

class VirtualReplicaSet : public testing::TestWithParam<int> {
 protected:
  VirtualReplicaSet() {
    for (int i = 0; i < GetParam(); ++i) {
      keys_.push_back(keys::SigningKey::Generate(rng_));
      for (int index = 0; index < kVirtualNodes; ++index) {
        all_.push_back(overlay::MakePeer(network_, keys_.back().public_key(), static_cast<uint8_t>(index),
                                         overlay::Role::kStoring, "127.0.0.1:10001"));
      }
    }
  }
  overlay::Neighbourhood Around(const Peer& self) const {
    std::vector<Peer> after = From(self.point.PlusOne(), all_);
    after.pop_back();  // self
    const std::vector<Peer> before(after.rbegin(), after.rend());
    const auto run = [&](const std::vector<Peer>& others, overlay::Direction direction) {
      return overlay::StoringRun(self, others.front(), {others.begin() + 1, others.end()}, direction, kReplicas + 1);
    };
    return {self, true, run(after, overlay::Direction::kClockwise), run(before, overlay::Direction::kCounterClockwise)};
  }
  ReplicaSet Of(size_t process) const {
    ReplicaSet set(kReplicas);
    for (size_t i = 0; i < kVirtualNodes; ++i) set.Update(Around(all_[process * kVirtualNodes + i]));
    return set;
  }

  support::SeededRng rng_{static_cast<uint64_t>(GetParam())};
  const overlay::Network network_ = NetworkOfFour();
  std::vector<keys::SigningKey> keys_;
  std::vector<Peer> all_;
};

TEST_P(VirtualReplicaSet, KnowsItsOwnResponsibilityForEveryPoint) {
  for (size_t process = 0; process < keys_.size(); ++process) {
    const ReplicaSet set = Of(process);
    for (int i = 0; i < 200; ++i) {
      const NodeId point = NodeId::Random(rng_);
      const std::vector<keys::PublicKey> holders = HoldersOf(point, all_);
      const bool is_holder = std::find(holders.begin(), holders.end(), keys_[process].public_key()) != holders.end();
      EXPECT_EQ(set.IsResponsible(point), is_holder);
      if (is_holder) {  // a leaver's question: who comes next?
        const std::vector<keys::PublicKey> next = HoldersOf(point, all_, kReplicas + 1);
        const std::vector<Peer> told = set.Responsible(point, kReplicas + 1);
        if (next.size() > kReplicas) {
          ASSERT_EQ(told.size(), next.size());
          for (size_t k = 0; k < next.size(); ++k) EXPECT_EQ(told[k].node_key, next[k]);
        }
      }
      const std::vector<Peer> named = set.Responsible(point);
      if (named.empty() && !is_holder) continue;  // too far away to tell
      ASSERT_EQ(named.size(), holders.size());
      for (size_t k = 0; k < holders.size(); ++k) EXPECT_EQ(named[k].node_key, holders[k]);
    }
  }
}

// Every two holders next to each other compare what they have, each pulling from the other: so all of it reaches all of them.
TEST_P(VirtualReplicaSet, RepairJoinsTheHoldersOfEveryArc) {
  std::vector<std::vector<SharedRange>> plans;
  for (size_t process = 0; process < keys_.size(); ++process) plans.push_back(Of(process).RepairPlan());
  const auto pulls = [&](const keys::PublicKey& to, const keys::PublicKey& from, const NodeId& point) {
    for (size_t process = 0; process < keys_.size(); ++process) {
      if (keys_[process].public_key() != to) continue;
      return std::any_of(plans[process].begin(), plans[process].end(),
                         [&](const SharedRange& shared) { return shared.peer.node_key == from && shared.range.Contains(point); });
    }
    return false;
  };
  for (const Peer& arc : all_) {
    const std::vector<keys::PublicKey> holders = HoldersOf(arc.point, all_);
    for (size_t i = 0; i + 1 < holders.size(); ++i) {
      EXPECT_TRUE(pulls(holders[i], holders[i + 1], arc.point));
      EXPECT_TRUE(pulls(holders[i + 1], holders[i], arc.point));
    }
  }
}

TEST_P(VirtualReplicaSet, RepairsOnlyWhatItHoldsWithWhoHoldsItToo) {
  for (size_t process = 0; process < keys_.size(); ++process) {
    for (const SharedRange& shared : Of(process).RepairPlan()) {
      for (int i = 0; i < 200; ++i) {
        const NodeId point = NodeId::Random(rng_);
        if (!shared.range.Contains(point)) continue;
        const std::vector<keys::PublicKey> holders = HoldersOf(point, all_);
        EXPECT_EQ(std::count(holders.begin(), holders.end(), keys_[process].public_key()), 1);
        EXPECT_EQ(std::count(holders.begin(), holders.end(), shared.peer.node_key), 1);
      }
    }
  }
}

TEST_P(VirtualReplicaSet, OwnedRangesAreTheArcsBeforeItsPoints) {
  for (int i = 0; i < 200; ++i) {
    const NodeId point = NodeId::Random(rng_);
    size_t owners = 0;
    for (size_t process = 0; process < keys_.size(); ++process) {
      for (const overlay::RingRange& range : Of(process).OwnedRanges()) {
        if (!range.Contains(point)) continue;
        ++owners;
        EXPECT_EQ(HoldersOf(point, all_).front(), keys_[process].public_key());
      }
    }
    EXPECT_EQ(owners, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, VirtualReplicaSet, testing::Values(2, 3, 4, 5, 6, 9, 14));

// --- Whole processes ---

struct Process {
  Process(overlay::MemoryNet& net, base::Rng& rng, const RecordKinds& kinds, const overlay::Network& network, int port,
          overlay::Role role = overlay::Role::kStoring)
      : key(keys::SigningKey::Generate(rng)),
        address(absl::StrCat("127.0.0.1:", port)),
        server(net, address, key.public_key()),
        client(net, key.public_key()),
        directory(network),
        ring({.network = network, .role = role, .address = address}, key, net.loop, server, client, directory, rng),
        dht({.network = network}, key, kinds, store, net.loop, rng, server, client, Ports(net.loop, network)) {
    ring.on_neighbourhood = [this](const overlay::Neighbourhood& neighbourhood) { dht.OnNeighbourhood(neighbourhood); };
    ring.on_join_prepared = [this](const overlay::Neighbourhood& future, std::function<void(absl::Status)> done) {
      dht.PrepareJoin(future, std::move(done));
    };
  }
  DhtPorts Ports(base::EventLoop& loop, const overlay::Network& network) {
    return {.lookup =
                [this](const NodeId& point, std::function<void(absl::StatusOr<std::vector<Peer>>)> done) {
                  ring.Lookup(point, [done](absl::StatusOr<overlay::LookupResult> result) {
                    if (!result.ok()) return done(result.status());
                    done(std::move(result->storing));
                  });
                },
            .peers_of =
                [this, &loop, network](const keys::PublicKey& of) {
                  const overlay::Descriptor* known = directory.Find(of, loop.WallNow());
                  return known == nullptr ? std::vector<Peer>{} : overlay::VirtualNodesOf(network, {known->ToPeer(network)});
                },
            .introduce =
                [this, &loop, network](const Peer& to, std::function<void(absl::Status)> done) {
                  overlay::Introduce(network, client, {to.address, to.node_key}, ring.descriptor().encoded, loop,
                                     [done](const auto& met) { done(met.status()); });
                }};
  }

  const keys::SigningKey key;
  const std::string address;
  overlay::MemoryServer server;
  overlay::MemoryClient client;
  overlay::Directory directory;
  MemoryRecordStore store;
  overlay::RingDriver ring;
  DhtDriver dht;
};

class VirtualNodes : public testing::Test {
 protected:
  Process& Add(overlay::Role role = overlay::Role::kStoring) {
    processes_.push_back(std::make_unique<Process>(net_, rng_, kinds_, network_, 10001 + static_cast<int>(started_++), role));
    return *processes_.back();
  }
  void JoinNow(Process& process) {
    std::optional<absl::Status> joined;
    process.ring.Join({{processes_.front()->address, std::nullopt}}, absl::Seconds(60),
                      [&](absl::Status status) { joined = status; });
    for (int i = 0; i < 60 && !joined; ++i) loop_.RunFor(absl::Seconds(1));
    ASSERT_EQ(joined, absl::OkStatus());
  }
  void Grow(size_t count) {
    if (processes_.empty()) Add().ring.Create();
    while (processes_.size() < count) JoinNow(Add());
  }
  std::vector<Peer> StandingPoints() const {
    std::vector<Peer> points;
    for (const auto& process : processes_) {
      for (size_t index = 0; index < process->ring.virtual_nodes(); ++index) {
        const overlay::Ring& ring = process->ring.virtual_node(index);
        if (ring.IsMember()) points.push_back(ring.self());
      }
    }
    return points;
  }
  // Every virtual node of every process stands on one ring; each list is the run of the next points that reaches r processes.
  bool IsIdeal() const {
    const std::vector<Peer> all = StandingPoints();
    if (all.size() != processes_.size() * kVirtualNodes) return false;
    const size_t others = std::min<size_t>(processes_.size() - 1, static_cast<size_t>(network_.successor_count));
    for (const auto& process : processes_) {
      for (size_t index = 0; index < process->ring.virtual_nodes(); ++index) {
        const overlay::Ring& ring = process->ring.virtual_node(index);
        const std::vector<Peer> after = From(ring.self().point.PlusOne(), all);
        const std::vector<Peer>& list = ring.successors();
        if (list.empty() || list.size() >= after.size() || !ring.predecessor()) return false;
        if (!std::equal(list.begin(), list.end(), after.begin()) || after[after.size() - 2] != *ring.predecessor()) return false;
        if (overlay::CountProcesses(list, process->key.public_key()) != others) return false;
      }
    }
    return true;
  }
  bool WaitForIdeal(absl::Duration at_most) {
    for (const absl::Time end = loop_.Now() + at_most; !IsIdeal();) {
      if (loop_.Now() > end) return false;
      loop_.RunFor(absl::Milliseconds(250));
    }
    return true;
  }
  void Put(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const Record record = MakeBlob(base::AsBytes(absl::StrCat("record ", records_.size())), loop_.WallNow() + absl::Hours(5));
      Process& at = *processes_[rng_.Below(processes_.size())];
      std::optional<absl::StatusOr<PutOutcome>> outcome;
      at.dht.Put(record, [&](absl::StatusOr<PutOutcome> put) { outcome = std::move(put); });
      loop_.RunFor(absl::Seconds(6));
      ASSERT_TRUE(outcome.has_value());
      ASSERT_OK(*outcome);
      ASSERT_EQ((*outcome)->result, PutResult::kStored);
      std::set<keys::PublicKey> receipts;
      for (const Receipt& receipt : (*outcome)->receipts) receipts.insert(receipt.node_key);
      EXPECT_GE(receipts.size(), 2u);
      records_.push_back(record);
    }
  }
  // Each record is on the first R processes at or after its point, and on no other.
  void ExpectInPlace() {
    const std::vector<Peer> all = StandingPoints();
    for (const Record& record : records_) {
      const std::vector<keys::PublicKey> expected = HoldersOf(record.name.point, all);
      std::set<keys::PublicKey> holders;
      for (const auto& process : processes_) {
        if (process->store.Holds(record.name, loop_.WallNow())) holders.insert(process->key.public_key());
      }
      EXPECT_EQ(holders, std::set<keys::PublicKey>(expected.begin(), expected.end()));
    }
  }

  support::ManualLoop loop_;
  overlay::MemoryNet net_{loop_};
  support::SeededRng rng_{11};
  const overlay::Network network_ = NetworkOfFour();
  const RecordKinds kinds_;
  size_t started_ = 0;
  std::vector<Record> records_;
  std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(VirtualNodes, AloneTheFirstStandsForAll) {
  Add().ring.Create();
  loop_.RunFor(absl::Seconds(30));
  EXPECT_EQ(StandingPoints().size(), 1u);
  Grow(2);
  EXPECT_TRUE(WaitForIdeal(absl::Seconds(30)));
}

TEST_F(VirtualNodes, ManyProcessesFormOneRingAndCountThemselves) {
  Grow(11);
  ASSERT_TRUE(WaitForIdeal(absl::Minutes(5)));
  loop_.RunFor(absl::Minutes(5));  // what a table names beyond the list comes from one successor after another
  for (const auto& process : processes_) {
    EXPECT_EQ(process->ring.SizeEstimate(), std::make_pair(11.0, true));
    for (size_t index = 0; index < kVirtualNodes; ++index) {
      const overlay::RoutingTable& table = process->ring.table(index);
      EXPECT_OK(overlay::DecodeTable(network_, table.encoded, loop_.WallNow()));
      EXPECT_TRUE(table.CoversRing());
    }
  }
  const NodeId point = NodeId::Random(rng_);
  std::optional<absl::StatusOr<overlay::LookupResult>> found;
  processes_[3]->ring.Lookup(point, [&](absl::StatusOr<overlay::LookupResult> result) { found = std::move(result); });
  loop_.RunFor(absl::Seconds(2));
  ASSERT_TRUE(found.has_value());
  ASSERT_OK(*found);
  EXPECT_EQ((*found)->owner, From(point, StandingPoints()).front());
  const std::vector<keys::PublicKey> holders = HoldersOf(point, StandingPoints());
  ASSERT_GE((*found)->storing.size(), kReplicas);
  for (size_t k = 0; k < kReplicas; ++k) EXPECT_EQ((*found)->storing[k].node_key, holders[k]);
}

TEST_F(VirtualNodes, AKilledProcessIsReplacedAndItsRecordsLieOnThreeOthersAgain) {
  Grow(7);
  ASSERT_TRUE(WaitForIdeal(absl::Minutes(5)));
  Put(25);
  loop_.RunFor(absl::Seconds(60));
  ExpectInPlace();
  processes_.erase(processes_.begin() + 3);
  EXPECT_TRUE(WaitForIdeal(absl::Seconds(30)));
  loop_.RunFor(absl::Minutes(2));
  ExpectInPlace();
  Grow(7);  // another one in its place
  // First successors are right at once; a list as long as the ring, here 28 points, takes a round a step.
  EXPECT_TRUE(WaitForIdeal(absl::Minutes(5)));
  loop_.RunFor(absl::Minutes(2));
  ExpectInPlace();
}

TEST_F(VirtualNodes, ALeaverHandsOverFromAllItsPoints) {
  Grow(6);
  ASSERT_TRUE(WaitForIdeal(absl::Minutes(5)));
  Put(20);
  loop_.RunFor(absl::Seconds(60));
  Process& leaver = *processes_[2];
  std::optional<bool> complete;
  leaver.dht.HandOver(loop_.Now() + absl::Seconds(20), [&](bool all) { complete = all; });
  loop_.RunFor(absl::Seconds(20));
  EXPECT_EQ(complete, true);
  bool left = false;
  leaver.ring.Leave([&] { left = true; });
  loop_.RunFor(absl::Seconds(2));
  EXPECT_TRUE(left);
  processes_.erase(processes_.begin() + 2);
  EXPECT_TRUE(WaitForIdeal(absl::Seconds(20)));
  loop_.RunFor(absl::Minutes(1));
  ExpectInPlace();
}

TEST_F(VirtualNodes, ARelayStandsAtAllItsPointsAndHoldsNothing) {
  Grow(4);
  Process& relay = Add(overlay::Role::kRelay);
  relay.ring.on_join_prepared = [](const overlay::Neighbourhood&, std::function<void(absl::Status)>) { FAIL(); };
  JoinNow(relay);
  Grow(6);
  ASSERT_TRUE(WaitForIdeal(absl::Minutes(5)));
  Put(15);
  loop_.RunFor(absl::Seconds(60));
  ExpectInPlace();
  processes_.erase(processes_.begin() + 1);
  EXPECT_TRUE(WaitForIdeal(absl::Seconds(30)));
  loop_.RunFor(absl::Minutes(2));
  ExpectInPlace();
}

TEST_F(VirtualNodes, AProcessCutOffFromAllOthersIsDetachedWhateverItsOwnPointsSay) {
  Grow(4);
  ASSERT_TRUE(WaitForIdeal(absl::Minutes(5)));
  processes_.erase(processes_.begin() + 1, processes_.end());
  loop_.RunFor(absl::Minutes(2));
  EXPECT_EQ(processes_[0]->ring.state(), overlay::RingState::kDetached);
  EXPECT_EQ(StandingPoints().size(), 0u);
  Grow(3);  // newcomers knock: the survivor founds the ring anew, and all points stand again
  EXPECT_TRUE(WaitForIdeal(absl::Seconds(60)));
}

TEST_F(VirtualNodes, AnotherNumberOfVirtualNodesIsAnotherNetwork) {
  Grow(1);
  Process stranger(net_, rng_, kinds_, overlay::Network::Local(), 20001);
  std::optional<absl::Status> joined;
  stranger.ring.Join({{processes_[0]->address, std::nullopt}}, absl::Seconds(60), [&](absl::Status status) { joined = status; });
  loop_.RunFor(absl::Seconds(2));
  ASSERT_TRUE(joined.has_value());
  EXPECT_STATUS(*joined, kFailedPrecondition);
}

}  // namespace
}  // namespace dht
