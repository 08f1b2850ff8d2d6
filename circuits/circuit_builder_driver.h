// SPDX-License-Identifier: Apache-2.0
// circuits/circuit_builder_driver.h — drives table walks: from guard to a circuit of three relays that is ready for use.
//
// Relays come out of all members where a believed table covers the ring; else out of the secret pool, once it is usable; before that
// out of finger tables, and guards from that time are provisional.
// Every table and descriptor that comes back is verified and kept (ring view, peer book). A hop that could not be reached is
// blamed; circuits that die, in the building or in the first steps after it, count against guard and relays (guard_set.h,
// relay_record.h); one whose own table cannot be true at this density of the ring is distrusted (peer_book.h) and leaves the pool. Trying
// again is for the caller.
#pragma once

#include "base/event_loop.h"
#include "circuits/guard_set.h"
#include "circuits/own_circuits_driver.h"
#include "circuits/relay_pool.h"
#include "circuits/relay_record.h"
#include "circuits/ring_view.h"
#include "circuits/table_walk.h"
#include "overlay/introduce.h"

namespace circuits {

inline constexpr size_t kBuildsMax = 8;  // at a time

// overlay::Introduce over TLS, or a test's: descriptor and table of the node there.
using IntroduceFunction =
    std::function<void(const overlay::RpcTarget&, std::function<void(absl::StatusOr<overlay::Introduction>)>)>;

class CircuitBuilder {
 public:
  using Done = std::function<void(absl::StatusOr<uint64_t>)>;
  struct Request {
    NodeKeys never;  // besides the own node
    NodeKeys holders;  // of the place to be asked for
    std::optional<keys::PublicKey> not_last;
    std::optional<overlay::Peer> last;
  };

  CircuitBuilder(const overlay::Network& network, std::optional<keys::PublicKey> own_key, base::EventLoop& loop, OwnCircuits& own,
                 RingView& view, PeerBook& book, RelayPool& pool, GuardSet& guards, IntroduceFunction introduce, base::Rng& rng);

  // `start_tables`: where the walk begins. ResourceExhausted beyond kBuildsMax, Unavailable: worth another try. `done` is posted.
  void Build(const Request& request, const std::vector<const overlay::RoutingTable*>& start_tables, Done done);
  // Verifies a table fetched through a circuit and puts it into the view. InvalidArgument: not that hop's own, or it cannot be true.
  absl::StatusOr<overlay::RoutingTable> Accept(const TableFetched& fetched, const keys::PublicKey& hop);
  void Accept(const DescriptorsFetched& fetched);

  size_t building() const { return building_; }
  uint64_t built() const { return built_; }
  uint64_t failed() const { return failed_; }

 private:
  struct Task;
  using TaskRef = std::shared_ptr<Task>;

  void IntroduceGuard(const TaskRef& task);
  void StartAt(const TaskRef& task, const overlay::Descriptor& guard);
  void Do(const TaskRef& task, WalkStep step);
  void Run(const TaskRef& task, CircuitStep step);
  void OnResult(const TaskRef& task, const CircuitStep& step, absl::StatusOr<StepResult> result);
  void Finish(const TaskRef& task, absl::Status status);
  // `hops`: of a circuit that stood, or the guard and those that may have failed it.
  void Count(std::span<const keys::PublicKey> hops, bool stood);
  TableWalk::Options OptionsFor(const Request& request);
  std::vector<overlay::Peer> PooledPeers();
  void OnSilent(const keys::PublicKey& node_key, bool is_guard);

  const overlay::Network network_;
  const std::optional<keys::PublicKey> own_key_;
  base::EventLoop& loop_;
  OwnCircuits& own_;
  RingView& view_;
  PeerBook& book_;
  RelayPool& pool_;
  GuardSet& guards_;
  RelayRecord record_;
  IntroduceFunction introduce_;
  base::Rng& rng_;
  size_t building_ = 0;
  uint64_t built_ = 0, failed_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
