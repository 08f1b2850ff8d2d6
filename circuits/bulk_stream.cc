// SPDX-License-Identifier: Apache-2.0
// circuits/bulk_stream.cc — test traffic of any length between a client and its last hop: how throughput through a circuit is
// measured. Compiled only where BULBIL_BULK_STREAMS is defined, in tests and benchmarks: the shipped program carries one question
// at a time and has nothing that could be used to move bulk (protocol.md 5).
#ifdef BULBIL_BULK_STREAMS
#include "base/byte_reader.h"
#include "circuits/origin_circuit.h"

namespace circuits {
namespace {

const base::Bytes& BulkPayload() {
  static const base::Bytes payload(kRelayPayloadMax, 0x5a);
  return payload;
}

}  // namespace

RelayCircuitActions RelayCircuit::OnBulkAsk(const RelayCell& cell, absl::Time now) {
  base::ByteReader reader(cell.payload);
  bulk_down_ = reader.U32();
  bulk_up_ = reader.U32();
  RelayCircuitActions actions;
  Flush(actions, now);
  return actions;
}

RelayCircuitActions RelayCircuit::OnBulk(absl::Time now) {
  if (bulk_up_ == 0) return {DestroyBoth{}};
  if (--bulk_up_ == 0) ++bulk_down_;
  RelayCircuitActions actions;
  Flush(actions, now);
  return actions;
}

void RelayCircuit::FlushBulk(RelayCircuitActions& actions, absl::Time now) {
  actions.reserve(actions.size() + std::min<size_t>(bulk_down_, kAcknowledgeEvery));
  for (; bulk_down_ > 0 && send_window_.CanSend(); --bulk_down_) {
    actions.push_back(ToPrevious{Seal(RelayCommand::kBulk, BulkPayload())});
    send_window_.OnSent(last_tail_, now);
  }
}

OriginActions OriginCircuit::OnBulk() {
  if (bulk_down_ == 0) return Close(true);
  return --bulk_down_ == 0 ? Done(BulkDone{}) : OriginActions{};
}

OriginActions OriginCircuit::SendBulk(absl::Time now) {
  OriginActions actions;
  due_ = now + kStepMax;
  const size_t last = hops_.size() - 1;
  actions.reserve(std::min<size_t>(bulk_up_, kAcknowledgeEvery));
  for (; bulk_up_ > 0 && flows_[last].send.CanSend(); --bulk_up_) {
    actions.push_back(SendToGuard{*Seal(last, RelayCommand::kBulk, BulkPayload(), now)});
  }
  return actions;
}

}  // namespace circuits
#endif
