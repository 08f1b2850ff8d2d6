// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_circuit.h"

#include <algorithm>

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;

RelayCircuitActions Destroy() { return {DestroyBoth{}}; }

// CREATE and CREATED: the handshake's bytes first, the rest of the body random.
Cell HandshakeCell(CellCommand command, base::ByteView bytes, base::Rng& rng) {
  Cell cell(0, command);
  std::copy(bytes.begin(), bytes.end(), cell.body().begin());
  rng.Fill(std::span<uint8_t>(cell.body()).subspan(bytes.size()));
  return cell;
}

}  // namespace

RelayCircuitActions RelayCircuit::OnHandshake(const absl::StatusOr<keys::ServerReplyResult>& result) {
  if (state_ != State::kCreating || !result.ok()) return Destroy();
  layer_.emplace(result->keys);
  channel_binding_ = result->keys.channel_binding;
  state_ = State::kOpen;
  return {ToPrevious{HandshakeCell(CellCommand::kCreated, result->reply, rng_)}};
}

bool RelayCircuit::OnForward(Cell& cell, absl::Time now, RelayCircuitActions& actions) {
  const CellCommand command = cell.command();
  const bool relayed = command == CellCommand::kRelay || command == CellCommand::kRelayEarly;
  // While the client waits for EXTENDED it says nothing: whatever comes now is not its own.
  const bool expected = relayed && !IsUnsettled() && (command == CellCommand::kRelay || ++early_seen_ <= kRelayEarlyMax);
  if (expected && layer_->DecryptForward(command, cell.body())) {
    actions = OnRecognised(command, cell.body(), now);
    return false;
  }
  if (expected && state_ == State::kRelaying) return true;
  actions = Destroy();
  return false;
}

bool RelayCircuit::OnBackward(Cell& cell, absl::Time now, RelayCircuitActions& actions) {
  if (state_ == State::kRelaying && cell.command() == CellCommand::kRelay) {
    layer_->EncryptBackward(CellCommand::kRelay, cell.body());
    return true;
  }
  if (state_ != State::kCreatingNext || cell.command() != CellCommand::kCreated) {
    actions = Destroy();
    return false;
  }
  next_skin_.clear();
  state_ = State::kRelaying;
  actions = Say(RelayCommand::kExtended, {base::ToBytes(base::ByteView(cell.body()).first(keys::kOnionReplySize))}, now);
  return false;
}

RelayCircuitActions RelayCircuit::OnRecognised(CellCommand command, RelayBodyView body, absl::Time now) {
  absl::StatusOr<RelayCell> cell = DecodeRelayCell(body);
  if (!cell.ok() || (command == CellCommand::kRelayEarly) != (cell->command == RelayCommand::kExtend)) return Destroy();
  if (cell->command == RelayCommand::kSendme) return OnSendme(*cell, now);
  if (request_pending_) return Destroy();  // one thing at a time
  RelayCircuitActions actions;
  if (const auto tail = receive_window_.OnReceived(TailOf(body)))
    actions.push_back(ToPrevious{Seal(RelayCommand::kSendme, *tail)});
  RelayCircuitActions more;
  switch (cell->command) {
    case RelayCommand::kExtend:
      more = OnExtend(*cell);
      break;
    case RelayCommand::kTable:
      more = OnTableQuestion(*cell, now);
      break;
    case RelayCommand::kDescriptor:
      more = OnDescriptorQuestion(*cell, now);
      break;
    case RelayCommand::kRequest:
      more = OnRequest(*std::move(cell));
      break;
#ifdef BULBIL_BULK_STREAMS
    case RelayCommand::kBulkAsk:
      more = OnBulkAsk(*cell, now);
      break;
    case RelayCommand::kBulk:
      more = OnBulk(now);
      break;
#endif
    default:
      return Destroy();
  }
  std::move(more.begin(), more.end(), std::back_inserter(actions));
  return actions;
}

RelayCircuitActions RelayCircuit::OnExtend(const RelayCell& cell) {
  absl::StatusOr<ExtendRequest> request = DecodeExtend(cell.payload);
  if (!request.ok()) return Destroy();
  RelayCircuitActions actions;
  if (state_ == State::kRelaying) actions.push_back(DropNext{});
  next_skin_ = std::move(request->onion_skin);
  state_ = State::kVerifying;
  actions.push_back(VerifyTarget{std::move(request->descriptor)});
  return actions;
}

RelayCircuitActions RelayCircuit::OnTarget(const absl::StatusOr<overlay::Descriptor>& target) {
  if (state_ != State::kVerifying || !target.ok()) return Destroy();
  if (target->node_key == options_.own_key || target->node_key == options_.previous_key) return Destroy();
  state_ = State::kDialing;
  return {DialTarget{*target}};
}

RelayCircuitActions RelayCircuit::OnDialed(bool up) {
  if (state_ != State::kDialing || !up) return Destroy();
  state_ = State::kCreatingNext;
  return {ToNext{HandshakeCell(CellCommand::kCreate, next_skin_, rng_)}};
}

RelayCircuitActions RelayCircuit::OnSendme(const RelayCell& cell, absl::Time now) {
  if (!send_window_.OnSendme(cell.payload, now)) return Destroy();
  RelayCircuitActions actions;
  Flush(actions, now);
  return actions;
}

RelayCircuitActions RelayCircuit::OnTableQuestion(const RelayCell& cell, absl::Time now) {
  if (cell.payload.size() != 1) return Destroy();
  return Say(RelayCommand::kTablePart, SplitTable(options_.records->table(cell.payload[0])), now);
}

RelayCircuitActions RelayCircuit::OnDescriptorQuestion(const RelayCell& cell, absl::Time now) {
  const absl::StatusOr<std::vector<keys::PublicKey>> wanted = DecodeDescriptorKeys(cell.payload);
  if (!wanted.ok()) return Destroy();
  std::vector<base::Bytes> descriptors;
  for (const keys::PublicKey& key : *wanted) descriptors.push_back(options_.records->descriptor(key));
  return Say(RelayCommand::kDescriptorReply, std::move(descriptors), now);
}

RelayCircuitActions RelayCircuit::OnRequest(RelayCell cell) {
  if (!options_.answers_requests) return Destroy();
  request_pending_ = true;
  return {HandOver{channel_binding_, std::move(cell.payload)}};
}

RelayCircuitActions RelayCircuit::OnAnswer(base::Bytes payload, absl::Time now) {
  if (!request_pending_ || payload.size() > kRelayPayloadMax) return Destroy();
  request_pending_ = false;
  return Say(RelayCommand::kAnswer, {std::move(payload)}, now);
}

RelayCircuitActions RelayCircuit::Say(RelayCommand command, std::vector<base::Bytes> payloads, absl::Time now) {
  if (queue_.size() + payloads.size() > kHopQueueMax) return Destroy();
  for (base::Bytes& payload : payloads) queue_.push_back({command, std::move(payload)});
  RelayCircuitActions actions;
  Flush(actions, now);
  return actions;
}

void RelayCircuit::Flush(RelayCircuitActions& actions, absl::Time now) {
  size_t sent = 0;
  for (; sent < queue_.size() && send_window_.CanSend(); ++sent) {
    actions.push_back(ToPrevious{Seal(queue_[sent].command, queue_[sent].payload)});
    send_window_.OnSent(last_tail_, now);
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(sent));
  if (queue_.empty()) queue_.shrink_to_fit();
#ifdef BULBIL_BULK_STREAMS
  FlushBulk(actions, now);
#endif
}

Cell RelayCircuit::Seal(RelayCommand command, base::ByteView payload) {
  Cell cell(0, CellCommand::kRelay);
  last_tail_ = EncodeRelayCell(command, payload, rng_, cell.body());
  layer_->EncryptBackward(CellCommand::kRelay, cell.body());
  return cell;
}

}  // namespace circuits
