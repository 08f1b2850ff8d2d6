// SPDX-License-Identifier: Apache-2.0
#include "chat/courier.h"

#include <algorithm>

#include "chat/mailbox_messages.h"
#include "dht/receipt.h"

namespace chat {

namespace {

constexpr int kRefusalsToBelieve = 2;

}  // namespace

OperationActions Courier::Carry(std::vector<BookTask> tasks, absl::Time now) {
  for (BookTask& task : tasks) {
    const auto isolation = rng_.Array<32>();
    using circuits::Purpose;
    const bool publishes = std::holds_alternative<PutBundleRequest>(task.request);  // a text does not wait for that
    const Purpose purpose = publishes       ? Purpose::kListing
                            : task.put      ? Purpose::kWrite
                            : task.in_focus ? Purpose::kFocus
                                            : Purpose::kRead;
    const size_t lane = lanes_.AddLane(task.point, base::Bytes(isolation.begin(), isolation.end()), purpose);
    const uint64_t id = task.id;
    Job& job = jobs_[id];
    job.task = std::move(task);
    job.lane = lane;
    const auto* request = std::get_if<PutRequest>(&job.task.request);
    const uint32_t effort = request == nullptr ? 0 : std::max(request->envelope.effort, options_.door_effort);
    if (effort > 0) {
      Work(id, effort);
    } else {
      lanes_.Submit({id, lane});
    }
  }
  return lanes_.Advance(now);
}

OperationActions Courier::OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now) {
  return lanes_.OnOpened(ticket, std::move(opened), now);
}

OperationActions Courier::OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now) {
  return lanes_.OnAnswer(ticket, answer, now);
}

void Courier::Work(uint64_t id, uint32_t effort) {
  Job& job = jobs_.at(id);
  Envelope& envelope = std::get<PutRequest>(job.task.request).envelope;
  envelope.effort = effort;
  job.working = true;
  work_.push_back({id, StampChallenge(options_.network, envelope), effort});
}

OperationActions Courier::OnWorked(uint64_t ticket, const keys::WorkProof& proof, absl::Time now) {
  const auto it = jobs_.find(ticket);
  if (it == jobs_.end() || !std::exchange(it->second.working, false)) return {};
  Job& job = it->second;
  Envelope& envelope = std::get<PutRequest>(job.task.request).envelope;
  envelope.stamp = proof;
  job.task.put = MakeEnvelopeRecord(envelope).name;
  job.holders.clear();  // receipts for it with another stamp are for another record
  job.refusals = 0;
  job.effort_needed = UINT32_MAX;
  lanes_.Submit({ticket, job.lane});
  return lanes_.Advance(now);
}

// Its place is full at this effort: true if it is worked for anew.
bool Courier::BuyIn(uint64_t id, uint32_t needed) {
  Job& job = jobs_.at(id);
  const uint32_t effort = std::get<PutRequest>(job.task.request).envelope.effort;
  const uint64_t twice = 2 * uint64_t{needed};
  if (twice <= effort || twice > kSendEffortMax) return false;
  Work(id, static_cast<uint32_t>(twice));
  return true;
}

void Courier::Abort(const absl::Status& why) {
  lanes_.Abort(why);
  while (!jobs_.empty()) GiveUp({jobs_.begin()->first, jobs_.begin()->second.lane}, why);
}

std::vector<CourierResult> Courier::TakeResults() { return std::exchange(results_, {}); }

base::Bytes Courier::MakeRequest(const Operation& operation, const circuits::OpenedOperation&) {
  return EncodeMailboxRequest(jobs_.at(operation.id).task.request);
}

OperationOwner::Next Courier::TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened,
                                         base::ByteView bytes) {
  Job& job = jobs_.at(operation.id);
  const auto answer = DecodeMailboxAnswer(bytes);
  if (!answer.ok()) return Next::kElsewhere;
  if (!job.task.put) {
    if (answer->status != MailboxStatus::kRecord || (!answer->complete && !answer->record)) return Next::kElsewhere;
    CourierResult result{operation.id};
    result.body = answer->record;
    Finish(operation.id, std::move(result));
    return Next::kDone;
  }
  const auto* request = std::get_if<PutRequest>(&job.task.request);
  if (answer->status == MailboxStatus::kFull && request != nullptr && answer->detail > request->envelope.effort) {
    job.effort_needed = std::min(job.effort_needed, answer->detail);
    if (++job.refusals < kRefusalsToBelieve) return Next::kElsewhere;
    if (!BuyIn(operation.id, job.effort_needed)) Finish(operation.id, {operation.id, true, 0});
    return Next::kDone;
  }
  if (answer->status != MailboxStatus::kStored) return Next::kElsewhere;
  for (const dht::Receipt& receipt : answer->receipts) {
    const auto is = [&](const keys::PublicKey& key) { return key == receipt.node_key; };
    if (std::none_of(opened.responsible.begin(), opened.responsible.end(), is)) continue;
    if (std::any_of(job.holders.begin(), job.holders.end(), is)) continue;
    if (dht::VerifyReceipt(options_.network, receipt, *job.task.put, job.task.expiry)) job.holders.push_back(receipt.node_key);
  }
  if (static_cast<int>(job.holders.size()) < options_.write_quorum) return Next::kElsewhere;
  Finish(operation.id, {operation.id, true, static_cast<uint8_t>(job.holders.size())});
  return Next::kDone;
}

void Courier::GiveUp(const Operation& operation, const absl::Status& last) {
  last_failure_ = last;
  if (last.code() == absl::StatusCode::kFailedPrecondition) fatal_ = last;
  const auto it = jobs_.find(operation.id);
  if (it == jobs_.end()) return;
  CourierResult result{operation.id, it->second.task.put.has_value(), static_cast<uint8_t>(it->second.holders.size())};
  result.body = last;
  Finish(operation.id, std::move(result));
}

void Courier::Finish(uint64_t id, CourierResult result) {
  jobs_.erase(id);
  results_.push_back(std::move(result));
}

}  // namespace chat
