// SPDX-License-Identifier: Apache-2.0
// tests/sim/store_ring.h — a World whose nodes keep records: the real replicator on the real ring, and disks that outlive
// processes.
//
// One seed decides everything, as in World. The store's calls travel like the ring's: delayed, cut by partitions, refused or not
// answered by the dead. A write reaches the disk a moment after it was asked for; one under way when its process dies may or may
// not have reached it. Leaving and joining are the program's: download, then member; hand over, then gone.
#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dht/memory_record_store.h"
#include "dht/replicator.h"
#include "keys/identity.h"
#include "tests/sim/world.h"

namespace sim {

inline constexpr absl::Duration kDiskMin = absl::Milliseconds(1), kDiskMax = absl::Milliseconds(6);  // one synced write

class StoreRing {
 public:
  using Answered = std::function<void(const absl::StatusOr<dht::DhtReply>&)>;  // never, if the node asked dies before

  explicit StoreRing(World::Options options);

  size_t Add();  // a storing node that is not running, its disk empty
  void StartAlone(size_t node);
  void StartJoin(size_t node, const std::vector<size_t>& contacts);
  // That many nodes, one joining after the other; CHECKs that they become an ideal ring.
  void Grow(size_t count);
  void Crash(size_t node);
  void LoseDisk(size_t node);  // of a node that is down
  // Hands over within `at_most`, then leaves the ring and ends.
  void Leave(size_t node, absl::Duration at_most);

  // Of a member's own user, passed on to who is responsible.
  void Put(size_t node, dht::Record record, Answered done);
  void Get(size_t node, const dht::RecordName& name, Answered done);
  // Lists a place at a replica of it: makes it complete, then says whether it is, and what lies there.
  using Listed = std::function<void(bool complete, const std::vector<dht::Record>& records)>;
  void List(size_t node, const overlay::NodeId& point, Listed done);

  World& world() { return world_; }
  bool IsUp(size_t node) const { return nodes_[node].core != nullptr; }
  bool IsMember(size_t node) const { return IsUp(node) && world_.ring(node) != nullptr && world_.ring(node)->IsMember(); }
  std::vector<size_t> Members() const;
  size_t size() const { return nodes_.size(); }
  const dht::MemoryRecordStore& disk(size_t node) const { return *nodes_[node].disk; }
  const dht::Replicator& core(size_t node) const { return *nodes_[node].core; }
  const overlay::Network& network() const { return network_; }
  absl::Time WallNow(size_t node) const { return world_.Clock(node); }

  // What a write changed on the disk of a node.
  std::function<void(size_t node, const dht::WriteBatch&)> on_written;

 private:
  struct Node {
    std::unique_ptr<keys::SigningKey> key;
    std::unique_ptr<dht::MemoryRecordStore> disk;
    std::unique_ptr<dht::Replicator> core;  // null: not running
    uint64_t life = 0;
    absl::Time tick_at = absl::InfiniteFuture();
  };
  using Answer = std::function<void(absl::StatusOr<dht::DhtReply>)>;

  void Start(size_t node);
  bool Lives(size_t node, uint64_t life) const { return IsUp(node) && nodes_[node].life == life; }
  dht::Moment Now(size_t node) const { return {world_.Clock(node), world_.Clock(node)}; }
  dht::RequestId Expect(size_t node, Answered done);
  template <typename Event>
  void Run(size_t node, Event event);
  void Arm(size_t node);
  void Do(size_t node, dht::DhtActions actions);
  void Send(size_t from, dht::Call call);
  void Deliver(size_t from, size_t to, dht::DhtRequest request, const Answer& answer);
  void Write(size_t node, dht::Write write);
  void FindOwners(size_t node, const dht::Lookup& lookup);

  const overlay::Network network_ = overlay::Network::Local();
  dht::RecordKinds kinds_;
  World world_;
  std::vector<Node> nodes_;
  absl::flat_hash_map<keys::PublicKey, size_t> by_key_;
  dht::RequestId last_request_ = 1ull << 32;  // apart from ids of the cores, so that a mix-up shows
  absl::flat_hash_map<dht::RequestId, Answered> answers_;
  absl::flat_hash_map<dht::RequestId, std::function<void(bool)>> listings_;
};

}  // namespace sim
