// SPDX-License-Identifier: Apache-2.0
// circuits/circuit_operations_driver.h — implements Operations: for each one a circuit of its isolation key and a responsible
// storing node as its fourth hop, tried anew with other relays and replicas until it is reached or kOpenMax has passed.
//
// The storage node is chosen before the relays, and none of these is it: so in a ring of four others three carry the circuit and
// the fourth answers (protocol.md 6). A circuit that stands on every responsible node is left for another one.
// Where the ring view cannot tell who is responsible, or a descriptor is missing, a lookup circuit is used first.
// A node's lookup is hidden among kDummiesPerLookup of random points, which are the same code, begin with it in random order and
// are waited for: a guard sees as many lookups of one shape, a last relay or a member that is asked one of them.
// In rings of up to kHeldRingMax, and while it does not know how large the ring is, it looks up, at Poisson times, points that the
// view does not tell, or will not tell kHoldAhead from now: in rings of a few hundred there are soon none, and operations need no
// lookup. Where no table covers the ring, a node that keeps circuits ready keeps one more for each lookup of such a four, so that
// these begin at once and leave the operation one to go on with.
#pragma once

#include "base/event_loop.h"
#include "circuits/circuit_pool.h"
#include "circuits/operations.h"
#include "circuits/start_tables_driver.h"
#include "circuits/table_lookup.h"

namespace circuits {

inline constexpr size_t kOthersMin = 4;  // three relays and a storing node
inline constexpr absl::Duration kOpenMax = absl::Seconds(30);
inline constexpr absl::Duration kHandleMax = absl::Seconds(10);  // between Open and Run
inline constexpr size_t kOpenOperationsMax = 256;
inline constexpr int kDummiesPerLookup = 3;  // fewer while half of kOpenOperationsMax are open
inline constexpr size_t kHeldRingMax = 1024;
inline constexpr absl::Duration kHoldEvery = absl::Seconds(20);  // mean; some 40 KB each
inline constexpr absl::Duration kHoldAhead = absl::Minutes(1);   // three of these: there is more than one to look up at a time
inline constexpr int kLookupsMax = 4;  // of one operation: 24 steps, for rings of any size

class CircuitOperations : public Operations, public ReadyOperations {
 public:
  struct Options {
    overlay::Network network;
    std::optional<keys::PublicKey> own_key;
    size_t ready_circuits = 0;        // clean ones kept built ahead for operations
    absl::Duration build_mean = absl::Seconds(2);  // between two ticks at which one may be built
    bool hides_lookups = false;  // among dummies; of a node: a client of one operation is known by that anyway
  };

  CircuitOperations(Options options, base::EventLoop& loop, OwnCircuits& own, CircuitBuilder& builder, StartTables& start,
                    RingView& view, PeerBook& book, base::Rng& rng);

  void Open(OpenRequest request, std::function<void(absl::StatusOr<OpenedOperation>)> done) override;
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override;

  void Check(std::function<void(absl::Status)> done) override;
  std::optional<uint64_t> NextReady() override;
  Start OpenOn(uint64_t circuit, const overlay::NodeId& point, const std::vector<keys::PublicKey>& avoid,
               std::function<void(absl::StatusOr<OpenedOperation>)> done) override;
  void Learn(const overlay::NodeId& point) override;

  size_t ready() const { return pool_.ready(); }
  // Processes known besides the own one.
  size_t OthersKnown() const;

 private:
  struct Operation;
  struct LookupTask;
  struct Opened {
    uint64_t circuit;
    absl::Time until;
    bool once;  // the circuit serves this operation alone
  };
  using OperationRef = std::shared_ptr<Operation>;
  using LookupRef = std::shared_ptr<LookupTask>;

  OperationRef BeginDummy(const overlay::NodeId& point, std::shared_ptr<char> company);
  OperationRef Begin(const overlay::NodeId& point, std::function<void(absl::StatusOr<OpenedOperation>)> done);
  void Advance(const OperationRef& operation);
  void Plan(const OperationRef& operation);
  // Who may be asked now: responsible, not own, not to be avoided, not tried in vain unless all were.
  absl::StatusOr<std::vector<keys::PublicKey>> Candidates(const OperationRef& operation);
  void BuildFor(const OperationRef& operation, const keys::PublicKey& target);
  void Reach(const OperationRef& operation, uint64_t circuit, const keys::PublicKey& target);
  void OnReached(const OperationRef& operation, uint64_t circuit, const keys::PublicKey& target,
                 const absl::StatusOr<StepResult>& result);
  std::optional<overlay::Descriptor> DescriptorOf(const keys::PublicKey& target) const;
  OpenedOperation Remember(uint64_t circuit, bool once, const keys::PublicKey& target, const HopAdded& hop,
                           const std::vector<keys::PublicKey>& responsible);
  absl::Status TooFew() const;
  void Retry(const OperationRef& operation, absl::Status why);
  void Finish(const OperationRef& operation, absl::StatusOr<OpenedOperation> result);

  void Lookup(const OperationRef& operation);
  void LookupAmongDummies(const OperationRef& operation);
  void LookupOnce(const OperationRef& operation);
  void AwaitCompany(const OperationRef& operation);
  // Whether the view tells at that time who holds the point, and one of them can be reached.
  bool IsTold(const overlay::NodeId& point, absl::Time at) const;
  std::optional<overlay::NodeId> UntoldPoint(absl::Time at);
  // Small enough for its tables to be held, and too large for one to cover it. Nothing: nobody knows yet, tables have to be gathered.
  std::optional<bool> IsHeldRing(absl::Time now) const;
  void HoldRing();
  void LookupOn(const OperationRef& operation, uint64_t circuit);
  void DoLookup(const LookupRef& task, LookupStep step);
  void OnLookupResult(const LookupRef& task, const CircuitStep& step, absl::StatusOr<StepResult> result);

  void Release(uint64_t circuit);
  void OnTimer();
  size_t ReadyWanted() const;
  void TopUp();
  absl::Time EndOfLife();  // of a circuit that was built now
  template <class F>
  auto Guarded(F f);  // f, unless this object is gone by then

  const Options options_;
  base::EventLoop& loop_;
  OwnCircuits& own_;
  CircuitBuilder& builder_;
  StartTables& start_;
  RingView& view_;
  PeerBook& book_;
  base::Rng& rng_;
  CircuitPool pool_;
  uint64_t last_handle_ = 0;
  size_t open_operations_ = 0, building_ready_ = 0;
  absl::Time next_build_ = absl::InfinitePast(), next_held_ = absl::InfinitePast();  // ticks of Poisson clocks
  absl::flat_hash_map<uint64_t, Opened> opened_;
  base::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
