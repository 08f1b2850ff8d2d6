// SPDX-License-Identifier: Apache-2.0
#include "dht/put_rounds.h"

#include <algorithm>
#include <utility>

namespace dht {

using overlay::Peer;

void PutRounds::Start(RequestId request, Record record, bool serving, PutAsker asker, const Moment& moment) {
  if (rounds_.size() >= kRoundsMax || passed_on_.size() >= kRoundsMax) {
    return out_.Reply(request, absl::ResourceExhaustedError("too many puts under way"));
  }
  if (!kinds_.Check(record, Source::kClient, moment.wall_now).ok()) {
    return out_.Reply(request, PutReply{.result = PutResult::kRefused});
  }
  if (serving && replicas_.IsResponsible(record.name.point)) return StartHere(request, std::move(record), asker, moment);
  if (asker == PutAsker::kUser) return PassOn(request, std::move(record), moment);
  PutReply reply{.result = PutResult::kNotResponsible};
  if (serving || !replicas_.IsStoring()) reply.responsible = replicas_.Responsible(record.name.point);
  out_.Reply(request, std::move(reply));
}

void PutRounds::StartHere(RequestId request, Record record, PutAsker asker, const Moment& moment) {
  const uint64_t id = out_.NextId();
  Round round{.request = request, .asker = asker, .record = record, .responsible = replicas_.Responsible(record.name.point)};
  for (const Peer& peer : round.responsible) round.waiting.insert(peer.node_key);
  round.deadline = round.last_deadline = moment.now + kRoundTimeout;
  rounds_.emplace(id, std::move(round));
  admitter_.Admit(
      std::move(record), Source::kClient, [this, id](const Moment&) { SendCopies(id); },
      [this, id](const AdmitOutcome& outcome, const Moment& then) { OnLocal(id, outcome, then); }, moment);
}

void PutRounds::SendCopies(uint64_t id) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end() || std::exchange(found->second.copies_sent, true)) return;
  const Round& round = found->second;
  for (const Peer& peer : round.responsible) {
    if (peer.SameProcess(*replicas_.self())) continue;
    auto handle = [this, id, peer](const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
      OnCopy(id, peer, AnswerAs<ReplicateReply>(reply), moment);
    };
    out_.Ask(peer, ReplicateRequest{round.record}, std::move(handle));
  }
}

void PutRounds::OnLocal(uint64_t id, const AdmitOutcome& outcome, const Moment& moment) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end()) return;
  Round& round = found->second;
  round.waiting.erase(node_key_.public_key());
  switch (outcome.result) {
    case AdmitResult::kStored:
    case AdmitResult::kAlready:
      round.receipts.insert(round.receipts.begin(),
                            SignReceipt(network_.name, node_key_, round.record.name, round.record.expiry));
      ++round.verified;
      break;
    case AdmitResult::kFull:
      out_.Reply(round.request, PutReply{.result = PutResult::kFull, .detail = outcome.detail});
      rounds_.erase(found);
      return;
    case AdmitResult::kNoSpace:
      round.without_receipts = PutResult::kNoSpace;
      break;
    case AdmitResult::kFailed:
      break;
  }
  SendCopies(id);  // also when there is no room here: the others may have some
  Progress(id, moment);
}

void PutRounds::OnCopy(uint64_t id, const Peer& holder, const ReplicateReply* reply, const Moment& moment) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end()) return;
  Round& round = found->second;
  if (round.waiting.erase(holder.node_key) == 0) return;
  if (reply != nullptr && reply->result == PutResult::kStored && reply->receipt && reply->receipt->node_key == holder.node_key) {
    round.receipts.push_back(*reply->receipt);
  }
  Progress(id, moment);
}

void PutRounds::Progress(uint64_t id, const Moment& moment) {
  Round& round = rounds_.at(id);
  if (round.waiting.empty()) return Finish(id);
  if (round.receipts.size() >= static_cast<size_t>(network_.write_quorum)) {
    round.deadline = std::min(round.deadline, moment.now + kRoundGrace);
  }
}

// Leaves the receipts that are good.
void PutRounds::Verify(Round& round) const {
  const auto is_bad = [&](const Receipt& receipt) {
    return !VerifyReceipt(network_.name, receipt, round.record.name, round.record.expiry);
  };
  const auto first = round.receipts.begin() + static_cast<ptrdiff_t>(round.verified);
  round.receipts.erase(std::remove_if(first, round.receipts.end(), is_bad), round.receipts.end());
  round.verified = round.receipts.size();
}

void PutRounds::Finish(uint64_t id) {
  auto node = rounds_.extract(id);
  Round& round = node.mapped();
  if (round.asker != PutAsker::kNode) Verify(round);
  const PutResult result = round.receipts.empty() ? round.without_receipts : PutResult::kStored;
  out_.Reply(round.request,
             PutReply{.result = result, .receipts = std::move(round.receipts), .responsible = std::move(round.responsible)});
}

void PutRounds::OnTick(const Moment& moment) {
  std::vector<uint64_t> due;
  for (const auto& [id, round] : rounds_) {
    if (round.deadline <= moment.now) due.push_back(id);
  }
  std::sort(due.begin(), due.end());
  for (const uint64_t id : due) {
    Round& round = rounds_.at(id);
    Verify(round);
    const bool is_short = round.receipts.size() < static_cast<size_t>(network_.write_quorum);
    if (is_short && moment.now < round.last_deadline) {
      round.deadline = round.last_deadline;  // some were worth nothing: who has not answered may still
    } else {
      Finish(id);
    }
  }
}

absl::Time PutRounds::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, round] : rounds_) next = std::min(next, round.deadline);
  return next;
}

void PutRounds::PassOn(RequestId request, Record record, const Moment& moment) {
  const uint64_t id = out_.NextId();
  const overlay::NodeId point = record.name.point;
  passed_on_.emplace(id, PassedOn{.request = request, .record = std::move(record)});
  owners_.Find(point, moment.now, TakeOwners(id));
}

OwnerFinder::Found PutRounds::TakeOwners(uint64_t id) {
  return [this, id](OwnerTrail trail) {
    passed_on_.at(id).trail = std::move(trail);
    TryNext(id);
  };
}

void PutRounds::TryNext(uint64_t id) {
  PassedOn& passed = passed_on_.at(id);
  const Peer* const next = passed.trail.Next();
  if (next == nullptr) {
    if (passed.trail.remembered) return owners_.FindAgain(passed.record.name.point, TakeOwners(id));
    out_.Reply(passed.request, PutReply{.result = PutResult::kUnknown, .responsible = passed.trail.owners});
    passed_on_.erase(id);
    return;
  }
  auto handle = [this, id](const absl::StatusOr<DhtReply>& reply, const Moment&) { OnPassedOn(id, AnswerAs<PutReply>(reply)); };
  out_.Ask(*next, PutRequest{passed.record}, std::move(handle));
}

void PutRounds::OnPassedOn(uint64_t id, const PutReply* reply) {
  PassedOn& passed = passed_on_.at(id);
  if (reply == nullptr || reply->result == PutResult::kNotResponsible || reply->result == PutResult::kUnknown) return TryNext(id);
  PutReply answer = *reply;
  answer.responsible = passed.trail.owners;
  answer.receipts =
      CountableReceipts(network_.name, reply->receipts, passed.record.name, passed.record.expiry, passed.trail.owners);
  // Receipts of nodes that are not known here as responsible: the ring may have changed.
  const bool is_short =
      reply->result == PutResult::kStored && answer.receipts.size() < static_cast<size_t>(network_.write_quorum);
  if (is_short && passed.trail.remembered) return owners_.FindAgain(passed.record.name.point, TakeOwners(id));
  out_.Reply(passed.request, std::move(answer));
  passed_on_.erase(id);
}

}  // namespace dht
