// SPDX-License-Identifier: Apache-2.0
// circuits/own_circuits_driver.h — drives the circuits of this process's own user: origin cores over links, one step after the
// other.
#pragma once

#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "circuits/circuit_table.h"
#include "circuits/origin_circuit.h"
#include "overlay/link.h"
#include "overlay/network.h"

namespace circuits {

inline constexpr size_t kOwnCircuitsMax = 256;  // about 10 KiB each
inline constexpr int kProofSteps = 2;  // done over the three relays of a circuit: an operation's fourth hop and its answer

class OwnCircuits {
 public:
  using StepDone = std::function<void(absl::StatusOr<StepResult>)>;

  OwnCircuits(const overlay::Network& network, base::EventLoop& loop, overlay::Links& links, CircuitTable& table, base::Rng& rng,
              size_t circuits_max = kOwnCircuitsMax);
  ~OwnCircuits();

  // A circuit without hops; nothing beyond circuits_max.
  std::optional<uint64_t> New();
  // One step at a time. `done` is posted, never called from inside. DeadlineExceeded after kStepMax, Unavailable for all else;
  // either way the circuit is gone.
  void Run(uint64_t circuit, CircuitStep step, StepDone done);
  void Close(uint64_t circuit);
  // Null once it is closed.
  const OriginCircuit* Find(uint64_t circuit) const;
  size_t size() const { return circuits_.size(); }
  // Told once of a circuit with its relays, with the hops it has: that it proved itself by kProofSteps, or died in one of them.
  // Not of those that were closed by their owner, or died while nothing was asked of them, before that.
  void SetProofListener(std::function<void(const std::vector<keys::PublicKey>& hops, bool stood)> listener) {
    on_proof_ = std::move(listener);
  }
  // Told of every circuit that is closed, whatever the reason.
  void SetClosedListener(std::function<void(uint64_t)> listener) { on_closed_ = std::move(listener); }

  // From the links' listener.
  void OnLinkUp(const overlay::LinkInfo& link);
  void OnLinkDown(overlay::LinkId link, const std::vector<CircuitEntry>& circuits);
  void OnCell(uint64_t circuit, overlay::Cell& cell);

 private:
  struct Own;

  void Start(uint64_t circuit, Own& own, const overlay::LinkInfo& link);
  void Apply(uint64_t circuit, OriginActions actions);
  bool Send(Own& own, overlay::Cell& cell);
  void Start(uint64_t circuit, const StartHandshake& action);
  void Finish(uint64_t circuit, const FinishHandshake& action);
  void Drop(uint64_t circuit, bool tell_guard, absl::Status why);
  void OnTimer();
  // The timer goes at the earliest time that any circuit waits for; ones that end earlier leave it as it is.
  void ArmTimer(absl::Time due);

  const overlay::Network network_;
  const size_t circuits_max_;
  base::EventLoop& loop_;
  overlay::Links& links_;
  CircuitTable& table_;
  base::Rng& rng_;
  std::function<void(const std::vector<keys::PublicKey>&, bool)> on_proof_;
  std::function<void(uint64_t)> on_closed_;
  uint64_t last_circuit_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Own>> circuits_;
  absl::Time armed_ = absl::InfiniteFuture();
  base::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
