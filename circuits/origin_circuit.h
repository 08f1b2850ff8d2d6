// SPDX-License-Identifier: Apache-2.0
// circuits/origin_circuit.h — one circuit as its client sees it. A core: it does one step at a time, each a question to one hop.
//
//   ExtendStep       CREATE to the guard, or EXTEND recognised at the last hop that stays      -> HopAdded
//   TableStep        the routing table of a hop, fetched from itself                           -> TableFetched
//   DescriptorsStep  descriptors of members of a hop's table                                   -> DescriptorsFetched
//   RequestStep      one request to the endpoint at the last hop                               -> Answered
//   BulkStep         test traffic to and from the last hop; only with BULBIL_BULK_STREAMS      -> BulkDone
// A step that fails, a cell that is not the awaited answer, or kStepMax without it: the circuit is closed, for good and with no
// reason given; the owner builds another (protocol.md 5, 6). What hops say is hearsay: the caller verifies signatures.
#pragma once

#include <variant>
#include <vector>

#include "circuits/flow_window.h"
#include "circuits/relay_circuit.h"
#include "circuits/relay_crypto.h"
#include "overlay/descriptor.h"

namespace circuits {

inline constexpr absl::Duration kStepMax = absl::Seconds(10);
inline constexpr size_t kRelayHops = 3;  // guard, middle, last; the storage node is a fourth
inline constexpr size_t kHopsMax = kRelayHops + 1;

struct ExtendStep {
  overlay::Descriptor target;
  size_t hops_before = 0;  // hops that stay: 0 = CREATE to the guard; those behind are replaced
};
struct TableStep {
  size_t hop = 0;  // from 0
  uint8_t index = 0;
};
struct DescriptorsStep {
  size_t hop = 0;
  std::vector<keys::PublicKey> node_keys;  // at most kDescriptorKeysMax
};
struct RequestStep {
  base::Bytes payload;
};
#ifdef BULBIL_BULK_STREAMS
struct BulkStep {
  uint32_t down = 0, up = 0;  // cells; kStepMax is between two of them
};
struct BulkDone {};
using CircuitStep = std::variant<ExtendStep, TableStep, DescriptorsStep, RequestStep, BulkStep>;
#else
using CircuitStep = std::variant<ExtendStep, TableStep, DescriptorsStep, RequestStep>;
#endif

struct HopAdded {
  std::array<uint8_t, 32> channel_binding;
};
struct TableFetched {
  base::Bytes table;  // empty: it has none
};
struct DescriptorsFetched {
  std::vector<base::Bytes> descriptors;  // in the order of the question; empty: not known there
};
struct Answered {
  base::Bytes payload;
};
#ifdef BULBIL_BULK_STREAMS
using StepResult = std::variant<HopAdded, TableFetched, DescriptorsFetched, Answered, BulkDone>;
#else
using StepResult = std::variant<HopAdded, TableFetched, DescriptorsFetched, Answered>;
#endif

struct SendToGuard {
  overlay::Cell cell;  // its circuit id is for the owner to fill in
};
struct StartHandshake {  // slow: keys::ClientStart; OnStarted
  keys::PublicKey relay_id;
  keys::X25519Public relay_onion_key;
};
struct FinishHandshake {  // slow: keys::ClientFinish; OnFinished
  keys::ClientHandshake state;
  base::Bytes reply;
};
struct StepDone {
  StepResult result;
};
struct CircuitClosed {
  bool tell_guard;  // DESTROY has to be sent
};
using OriginAction = std::variant<SendToGuard, StartHandshake, FinishHandshake, StepDone, CircuitClosed>;
using OriginActions = std::vector<OriginAction>;

class OriginCircuit {
 public:
  explicit OriginCircuit(base::Rng& rng) : rng_(rng) {}

  // CHECKs that no step is under way. A step this circuit cannot do any more (MayExtend, an unknown hop) closes it.
  OriginActions Run(CircuitStep step, absl::Time now);
  OriginActions OnStarted(absl::StatusOr<keys::ClientStartResult> result, absl::Time now);
  OriginActions OnFinished(const absl::StatusOr<keys::HopKeys>& result);
  // Takes the layers off in place.
  OriginActions OnCell(overlay::Cell& cell, absl::Time now);
  OriginActions OnTick(absl::Time now);
  absl::Time NextTick() const { return closed_ || !IsBusy() ? absl::InfiniteFuture() : due_; }
  OriginActions Close(bool tell_guard);

  bool closed() const { return closed_; }
  bool IsBusy() const { return phase_ != Phase::kIdle; }
  // Node keys of the hops, the guard first.
  const std::vector<keys::PublicKey>& hops() const { return hops_; }
  bool MayExtend() const { return !closed_ && early_sent_ < kRelayEarlyMax; }
  int extends_left() const { return kRelayEarlyMax - early_sent_; }

 private:
  enum class Phase : uint8_t { kIdle, kStarting, kAwaitingReply, kFinishing, kAwaitingAnswer };
  struct HopFlow {
    SendWindow send;
    ReceiveWindow receive;
  };

  OriginActions RunExtend(const ExtendStep& step);
  OriginActions Ask(size_t hop, RelayCommand command, base::ByteView payload, absl::Time now);
  // Seals a cell for a hop; nothing if the hop's window is closed.
  std::optional<overlay::Cell> Seal(size_t hop, RelayCommand command, base::ByteView payload, absl::Time now);
  OriginActions OnSendme(const RelayCell& cell, absl::Time now);
  OriginActions OnRelayCell(RelayCell cell);
#ifdef BULBIL_BULK_STREAMS
  OriginActions OnBulk();
  OriginActions SendBulk(absl::Time now);
#endif
  OriginActions OnReply(base::ByteView reply);
  OriginActions OnTablePart(const RelayCell& cell);
  OriginActions OnDescriptor(RelayCell cell);
  OriginActions Done(StepResult result);

  base::Rng& rng_;
  Phase phase_ = Phase::kIdle;
  bool closed_ = false;
  absl::Time due_;
  CircuitStep step_;
  size_t speaker_ = 0;  // the hop whose answer is awaited
  int early_sent_ = 0;
  OriginLayers layers_;
  std::vector<HopFlow> flows_;
  std::vector<keys::PublicKey> hops_;
  std::optional<keys::ClientHandshake> handshake_;
  TableAssembly table_;
  std::vector<base::Bytes> descriptors_;
#ifdef BULBIL_BULK_STREAMS
  uint32_t bulk_down_ = 0, bulk_up_ = 0;  // cells still to come, and to be sent
#endif
};

}  // namespace circuits
