// SPDX-License-Identifier: Apache-2.0
// circuits/pool_filler_driver.h — fills the secret pool: runs the lookups of its draws over circuits of one's own, and renews the
// descriptors of pooled relays.
//
// Nothing is done where a believed table covers the ring: then all members serve as relays. A draw is one try over one circuit (a
// further one where its extends are used up); a failed one comes again from the pool, with the same point, over another circuit.
// Until the density of the ring is known, draws only gather tables and are dropped. What was found over a circuit from before the
// pool was usable is provisional (relay_pool.h). A lookup begins at the table of the circuit's last relay, never at one's own:
// whose table it is would tell whose lookup. Renewal: a circuit whose last hop is a pooled relay with an old descriptor asks all
// three hops for their own newest one.
#pragma once

#include "circuits/point_lookup.h"
#include "circuits/start_tables_driver.h"

namespace circuits {

inline constexpr int kCircuitsPerTry = 5;                         // six extends each, a lookup takes about ten
inline constexpr absl::Duration kRenewEvery = absl::Seconds(45);  // mean, while a descriptor is old
inline constexpr absl::Duration kFillerLook = absl::Seconds(1);   // at least, between looks at what is due

class PoolFiller {
 public:
  PoolFiller(const overlay::Network& network, std::optional<keys::PublicKey> own_key, base::EventLoop& loop, OwnCircuits& own,
             CircuitBuilder& builder, StartTables& start, RingView& view, PeerBook& book, RelayPool& pool, base::Rng& rng);

  uint64_t found() const { return found_; }
  uint64_t failed() const { return failed_; }

 private:
  struct Task;
  using TaskRef = std::shared_ptr<Task>;

  void OnTimer();
  void ArmTimer();
  void StartDue();
  void Begin(const RelayPool::Draw& draw);
  std::optional<double> LooseGap() const;
  void TakeCircuit(const TaskRef& task);
  void OnCircuit(const TaskRef& task, uint64_t circuit);
  void Advance(const TaskRef& task);
  void Fetch(const TaskRef& task);
  void Extend(const TaskRef& task, const overlay::Descriptor& target);
  void AskDescriptor(const TaskRef& task);
  void FetchTableOfEnd(const TaskRef& task);
  void OnNoTable(const TaskRef& task);
  void OnFound(const TaskRef& task, const PointFound& found);
  void OnFailed(const TaskRef& task);
  void RenewOne();
  void AskHopForItself(uint64_t circuit, size_t hop);
  template <class F>
  auto Guarded(F f);  // f, unless this object is gone by then

  const overlay::Network network_;
  const std::optional<keys::PublicKey> own_key_;
  base::EventLoop& loop_;
  OwnCircuits& own_;
  CircuitBuilder& builder_;
  StartTables& start_;
  RingView& view_;
  PeerBook& book_;
  RelayPool& pool_;
  base::Rng& rng_;
  absl::flat_hash_map<uint64_t, TaskRef> tasks_;  // by draw: what its lookup learnt stays for the next try
  absl::Time next_renewal_ = absl::InfinitePast();
  uint64_t found_ = 0, failed_ = 0;
  base::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
