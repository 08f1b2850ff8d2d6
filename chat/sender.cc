// SPDX-License-Identifier: Apache-2.0
#include "chat/sender.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "chat/mailbox_messages.h"

namespace chat {

namespace {

constexpr int kRefusalsToBelieve = 2;

bool Contains(const std::vector<keys::PublicKey>& nodes, const keys::PublicKey& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Sender::Sender(Options options, base::Rng& rng) : options_(std::move(options)), rng_(rng), lanes_(options_.lanes, *this) {}

absl::StatusOr<SendActions> Sender::Start(const SendRequest& request, absl::Time wall_now, absl::Time now) {
  const Day today = DayOf(wall_now);
  ASSIGN_OR_RETURN(const Door door, DoorOf(request.recipient, options_.network, today));
  ASSIGN_OR_RETURN(const std::vector<Fragment> fragments,
                   SplitNote(request.text, options_.network, request.recipient, request.signer, wall_now, rng_, request.reply));
  head_.note_id = fragments.front().note_id;
  head_.day = today;
  head_.expiry = EnvelopeExpiry(today);
  const auto secret = rng_.Array<32>();
  for (uint8_t place = 0; place < kPlaceCount; ++place) {
    lanes_.AddLane(door.Point(place), IsolationOf(secret, today, place), circuits::Purpose::kWrite);
  }
  for (const Fragment& fragment : fragments) RETURN_IF_ERROR(AddEnvelope(door, request.recipient, fragment));
  started_ = true;
  deadline_ = now + options_.deadline;
  return AfterEvent(lanes_.Advance(now), now);
}

absl::Status Sender::AddEnvelope(const Door& door, const keys::PublicKey& recipient, const Fragment& fragment) {
  Envelope envelope;
  envelope.door = door;
  ASSIGN_OR_RETURN(envelope.sealed, SealEnvelope(recipient, options_.network, door.blinded, EncodeFragment(fragment), rng_));
  envelope.place = FirstPlace(envelope.sealed);
  AddPut(envelope);
  envelope.place = NextPlace(envelope.place);
  AddPut(envelope);
  return absl::OkStatus();
}

void Sender::AddPut(const Envelope& envelope) {
  Put put;
  put.envelope = envelope;
  put.outcome.place = envelope.place;
  put.outcome.point = envelope.door.Point(envelope.place);
  puts_.push_back(std::move(put));
  if (options_.door_effort > 0) return Work(puts_.size() - 1, options_.door_effort);
  Submit(puts_.size() - 1);
}

void Sender::Submit(size_t index) {
  Put& put = puts_[index];
  put.record = MakeEnvelopeRecord(put.envelope);
  put.outcome.holders.clear();  // receipts for it with another stamp are for another record
  put.outcome.path.clear();
  put.refusals = 0;
  put.full = true;
  put.effort_needed = UINT32_MAX;
  put.pending = true;
  lanes_.Submit({index, put.envelope.place});
}

void Sender::Work(size_t index, uint32_t effort) {
  Put& put = puts_[index];
  put.pending = true;
  put.envelope.effort = effort;
  effort_spent_ += effort;
  ++working_;
  work_.push_back(WorkOp{index, StampChallenge(options_.network, put.envelope), effort});
}

SendActions Sender::OnWorked(uint64_t ticket, const keys::WorkProof& proof, absl::Time now) {
  if (ticket >= puts_.size() || working_ == 0) return {};
  --working_;
  if (!fatal_.ok()) return {};
  puts_[ticket].envelope.stamp = proof;
  Submit(ticket);
  deadline_ = std::max(deadline_, now + options_.deadline);
  return AfterEvent(lanes_.Advance(now), now);
}

// Into the first place of an envelope that both its places refuse as full.
void Sender::BuyIn() {
  for (size_t i = 0; i < puts_.size(); i += 2) {
    Put& first = puts_[i];
    if (Stored(i / 2) || first.pending || puts_[i + 1].pending || !first.full || first.refusals < kRefusalsToBelieve) continue;
    const uint64_t effort = 2 * uint64_t{first.effort_needed};
    if (effort <= first.envelope.effort || effort + effort_spent_ > kSendEffortMax) continue;
    Work(i, static_cast<uint32_t>(effort));
  }
}

SendActions Sender::OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now) {
  return AfterEvent(lanes_.OnOpened(ticket, std::move(opened), now), now);
}

SendActions Sender::OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now) {
  return AfterEvent(lanes_.OnAnswer(ticket, answer, now), now);
}

SendActions Sender::OnTick(absl::Time now) {
  if (!started_) return {};
  if (now >= deadline_ && working_ == 0) {
    lanes_.Abort(absl::DeadlineExceededError("time ran out"));
    return {};
  }
  return AfterEvent(lanes_.Advance(now), now);
}

absl::Time Sender::NextTick() const {
  if (!started_ || done()) return absl::InfiniteFuture();
  return std::min(working_ == 0 ? deadline_ : absl::InfiniteFuture(), lanes_.NextTick());
}

SendActions Sender::AfterEvent(const OperationActions& operations, absl::Time now) {
  if (!fatal_.ok()) {
    lanes_.Abort(fatal_);
    return {};
  }
  if (AllStored()) deadline_ = std::min(deadline_, now + options_.grace);
  BuyIn();
  SendActions actions = std::exchange(work_, {});
  for (const OperationAction& operation : operations) {
    std::visit([&](const auto& one) { actions.emplace_back(one); }, operation);
  }
  return actions;
}

base::Bytes Sender::MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) {
  Put& put = puts_[operation.id];
  put.outcome.storage_node = opened.storage_node;
  return EncodeMailboxRequest(PutRequest{put.envelope});
}

OperationOwner::Next Sender::TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened,
                                        base::ByteView bytes) {
  Put& put = puts_[operation.id];
  const auto answer = DecodeMailboxAnswer(bytes);
  if (!answer.ok()) return Next::kElsewhere;
  switch (answer->status) {
    case MailboxStatus::kStored:
      CountReceipts(put, opened, answer->receipts);
      if (static_cast<int>(put.outcome.holders.size()) < options_.write_quorum) return Next::kElsewhere;
      put.pending = false;
      return Next::kDone;
    case MailboxStatus::kFull:
    case MailboxStatus::kRefused:
      if (answer->status == MailboxStatus::kFull && answer->detail <= put.envelope.effort) return Next::kElsewhere;  // a lie
      put.full = put.full && answer->status == MailboxStatus::kFull;
      put.effort_needed = std::min(put.effort_needed, answer->detail);
      if (++put.refusals < kRefusalsToBelieve) return Next::kElsewhere;
      put.pending = false;
      return Next::kDone;
    case MailboxStatus::kPage:
    case MailboxStatus::kRecord:
    case MailboxStatus::kUnavailable:
      break;
  }
  return Next::kElsewhere;
}

void Sender::GiveUp(const Operation& operation, const absl::Status& last) {
  puts_[operation.id].last = last;
  puts_[operation.id].pending = false;
  if (last.code() == absl::StatusCode::kFailedPrecondition) fatal_ = last;
}

void Sender::CountReceipts(Put& put, const circuits::OpenedOperation& opened, const std::vector<dht::Receipt>& receipts) const {
  std::vector<keys::PublicKey>& holders = put.outcome.holders;
  for (const dht::Receipt& receipt : receipts) {
    if (!Contains(opened.responsible, receipt.node_key) || Contains(holders, receipt.node_key)) continue;
    if (!dht::VerifyReceipt(options_.network, receipt, put.record.name, put.record.expiry)) continue;
    holders.push_back(receipt.node_key);
    put.outcome.path = opened.path;
  }
}

bool Sender::Stored(size_t envelope) const {
  for (size_t i = 2 * envelope; i < 2 * envelope + 2; ++i) {
    if (static_cast<int>(puts_[i].outcome.holders.size()) >= options_.write_quorum) return true;
  }
  return false;
}

bool Sender::AllStored() const {
  for (size_t i = 0; i < puts_.size() / 2; ++i) {
    if (!Stored(i)) return false;
  }
  return true;
}

absl::Status Sender::WhyNotStored(size_t envelope) const {
  const Put& first = puts_[2 * envelope];
  const Put& second = puts_[2 * envelope + 1];
  const size_t copies = std::max(first.outcome.holders.size(), second.outcome.holders.size());
  for (const Put* put : {&first, &second}) {
    if (put->refusals < kRefusalsToBelieve) continue;
    if (put->full) return absl::ResourceExhaustedError(absl::StrCat("the door is full; effort needed: ", put->effort_needed));
    return absl::PermissionDeniedError("the storing nodes refused it");
  }
  if (copies > 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("stored on ", copies, " of ", options_.replica_count, " replicas, needed ", options_.write_quorum));
  }
  return absl::UnavailableError(absl::StrCat("no storing node answered: ", first.last.message()));
}

absl::StatusOr<SendResult> Sender::result() const {
  if (!fatal_.ok() && !AllStored()) return fatal_;
  SendResult result = head_;
  for (size_t i = 0; i < puts_.size() / 2; ++i) {
    if (!Stored(i)) return WhyNotStored(i);
    result.envelopes.push_back({{puts_[2 * i].outcome, puts_[2 * i + 1].outcome}});
  }
  return result;
}

}  // namespace chat
