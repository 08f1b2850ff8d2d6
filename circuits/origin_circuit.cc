// SPDX-License-Identifier: Apache-2.0
#include "circuits/origin_circuit.h"

#include <algorithm>

#include "base/byte_writer.h"
#include "base/check.h"
#include "base/overloaded.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;

RelayCommand AwaitedBy(const CircuitStep& step) {
  return std::visit(base::Overloaded{[](const ExtendStep&) { return RelayCommand::kExtended; },
                                     [](const TableStep&) { return RelayCommand::kTablePart; },
                                     [](const DescriptorsStep&) { return RelayCommand::kDescriptorReply; },
#ifdef BULBIL_BULK_STREAMS
                                     [](const BulkStep&) { return RelayCommand::kBulk; },
#endif
                                     [](const RequestStep&) { return RelayCommand::kAnswer; }},
                    step);
}

}  // namespace

OriginActions OriginCircuit::Close(bool tell_guard) {
  if (closed_) return {};
  closed_ = true;
  return {CircuitClosed{tell_guard}};
}

OriginActions OriginCircuit::Run(CircuitStep step, absl::Time now) {
  CHECK(!IsBusy());
  if (closed_) return {};
  due_ = now + kStepMax;
  step_ = std::move(step);
  phase_ = Phase::kAwaitingAnswer;
  return std::visit(
      base::Overloaded{
          [&](const ExtendStep& extend) { return RunExtend(extend); },
          [&](const TableStep& table) {
            table_ = TableAssembly();
            return Ask(table.hop, RelayCommand::kTable, base::ByteView(&table.index, 1), now);
          },
          [&](const DescriptorsStep& wanted) {
            descriptors_.clear();
            return Ask(wanted.hop, RelayCommand::kDescriptor, EncodeDescriptorKeys(wanted.node_keys), now);
          },
#ifdef BULBIL_BULK_STREAMS
          [&](const BulkStep& bulk) {
            bulk_down_ = bulk.down + (bulk.up > 0 ? 1 : 0);
            bulk_up_ = bulk.up;
            OriginActions actions =
                Ask(hops_.size() - 1, RelayCommand::kBulkAsk, base::ByteWriter().U32(bulk.down).U32(bulk.up).Take(), now);
            OriginActions more = SendBulk(now);
            std::move(more.begin(), more.end(), std::back_inserter(actions));
            return actions;
          },
#endif
          [&](const RequestStep& request) { return Ask(hops_.size() - 1, RelayCommand::kRequest, request.payload, now); }},
      step_);
}

OriginActions OriginCircuit::RunExtend(const ExtendStep& step) {
  const bool first = step.hops_before == 0;
  if (step.hops_before > hops_.size() || step.hops_before >= kHopsMax || (first ? !hops_.empty() : !MayExtend())) {
    return Close(true);
  }
  layers_.Truncate(step.hops_before);
  flows_.resize(step.hops_before);
  hops_.resize(step.hops_before);
  phase_ = Phase::kStarting;
  return {StartHandshake{step.target.node_key, step.target.onion_key}};
}

OriginActions OriginCircuit::OnStarted(absl::StatusOr<keys::ClientStartResult> result, absl::Time now) {
  if (closed_) return {};
  if (phase_ != Phase::kStarting || !result.ok()) return Close(true);
  handshake_ = std::move(result->state);
  phase_ = Phase::kAwaitingReply;
  const ExtendStep& step = std::get<ExtendStep>(step_);
  if (step.hops_before > 0) {
    return Ask(step.hops_before - 1, RelayCommand::kExtend, EncodeExtend(result->onion_skin, step.target.encoded), now);
  }
  Cell cell(0, CellCommand::kCreate);
  std::copy(result->onion_skin.begin(), result->onion_skin.end(), cell.body().begin());
  rng_.Fill(std::span<uint8_t>(cell.body()).subspan(result->onion_skin.size()));
  return {SendToGuard{cell}};
}

OriginActions OriginCircuit::Ask(size_t hop, RelayCommand command, base::ByteView payload, absl::Time now) {
  if (hop >= hops_.size()) return Close(true);
  std::optional<Cell> cell = Seal(hop, command, payload, now);
  if (!cell.has_value()) return Close(true);
  speaker_ = hop;
  return {SendToGuard{*cell}};
}

std::optional<Cell> OriginCircuit::Seal(size_t hop, RelayCommand command, base::ByteView payload, absl::Time now) {
  const bool extends = command == RelayCommand::kExtend;
  const CellCommand cell_command = extends ? CellCommand::kRelayEarly : CellCommand::kRelay;
  if (command != RelayCommand::kSendme && !flows_[hop].send.CanSend()) return std::nullopt;
  Cell cell(0, cell_command);
  const RelayTail tail = EncodeRelayCell(command, payload, rng_, cell.body());
  if (command != RelayCommand::kSendme) flows_[hop].send.OnSent(tail, now);
  if (extends) ++early_sent_;
  layers_.EncryptForward(hop, cell_command, cell.body());
  return cell;
}

OriginActions OriginCircuit::OnCell(Cell& cell, absl::Time now) {
  if (closed_ || cell.command() == CellCommand::kPadding) return {};
  if (cell.command() == CellCommand::kDestroy) return Close(/*tell_guard=*/false);
  const bool awaits_created = phase_ == Phase::kAwaitingReply && hops_.empty();
  if (cell.command() == CellCommand::kCreated && awaits_created) return OnReply(cell.body());
  const bool awaits_cell = phase_ == Phase::kAwaitingAnswer || (phase_ == Phase::kAwaitingReply && !hops_.empty());
  if (cell.command() != CellCommand::kRelay || !awaits_cell) return Close(true);
  if (!layers_.DecryptBackward(speaker_, CellCommand::kRelay, cell.body())) return Close(true);
  absl::StatusOr<RelayCell> inner = DecodeRelayCell(cell.body());
  if (!inner.ok()) return Close(true);
  if (inner->command == RelayCommand::kSendme) return OnSendme(*inner, now);
  if (inner->command != AwaitedBy(step_)) return Close(true);
  OriginActions actions;
  if (const auto tail = flows_[speaker_].receive.OnReceived(TailOf(cell.body()))) {
    actions.push_back(SendToGuard{*Seal(speaker_, RelayCommand::kSendme, *tail, now)});
  }
  OriginActions more = OnRelayCell(*std::move(inner));
  std::move(more.begin(), more.end(), std::back_inserter(actions));
  return actions;
}

OriginActions OriginCircuit::OnSendme(const RelayCell& cell, absl::Time now) {
  if (!flows_[speaker_].send.OnSendme(cell.payload, now)) return Close(true);
#ifdef BULBIL_BULK_STREAMS
  return SendBulk(now);
#else
  return {};
#endif
}

OriginActions OriginCircuit::OnRelayCell(RelayCell cell) {
  switch (cell.command) {
    case RelayCommand::kExtended:
      return cell.payload.size() == keys::kOnionReplySize ? OnReply(cell.payload) : Close(true);
    case RelayCommand::kTablePart:
      return OnTablePart(cell);
    case RelayCommand::kDescriptorReply:
      return OnDescriptor(std::move(cell));
    case RelayCommand::kAnswer:
      return Done(Answered{std::move(cell.payload)});
#ifdef BULBIL_BULK_STREAMS
    case RelayCommand::kBulk:
      return OnBulk();
#endif
    default:
      return Close(true);
  }
}

OriginActions OriginCircuit::OnReply(base::ByteView reply) {
  phase_ = Phase::kFinishing;
  return {FinishHandshake{*std::move(handshake_), base::ToBytes(reply.first(keys::kOnionReplySize))}};
}

OriginActions OriginCircuit::OnFinished(const absl::StatusOr<keys::HopKeys>& result) {
  if (closed_) return {};
  handshake_.reset();
  if (phase_ != Phase::kFinishing || !result.ok()) return Close(true);
  layers_.AddHop(*result);
  flows_.emplace_back();
  hops_.push_back(std::get<ExtendStep>(step_).target.node_key);
  return Done(HopAdded{result->channel_binding});
}

OriginActions OriginCircuit::OnTablePart(const RelayCell& cell) {
  const absl::StatusOr<bool> whole = table_.Add(cell.payload);
  if (!whole.ok()) return Close(true);
  return *whole ? Done(TableFetched{table_.Take()}) : OriginActions{};
}

OriginActions OriginCircuit::OnDescriptor(RelayCell cell) {
  if (cell.payload.size() > overlay::kDescriptorMax) return Close(true);
  descriptors_.push_back(std::move(cell.payload));
  if (descriptors_.size() < std::get<DescriptorsStep>(step_).node_keys.size()) return {};
  return Done(DescriptorsFetched{std::move(descriptors_)});
}

OriginActions OriginCircuit::Done(StepResult result) {
  phase_ = Phase::kIdle;
  return {StepDone{std::move(result)}};
}

OriginActions OriginCircuit::OnTick(absl::Time now) {
  if (closed_ || !IsBusy() || now < due_) return {};
  return Close(true);
}

}  // namespace circuits
