// SPDX-License-Identifier: Apache-2.0
#include "dht/put_rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace dht {

using overlay::Peer;

void PutRounds::Start(RequestId request, Record record, bool serving, bool pass_on, const Moment& moment) {
  if (rounds_.size() >= kRoundsMax) return out_.Reply(request, absl::ResourceExhaustedError("too many puts under way"));
  if (!kinds_.Check(record, Source::kClient, moment.wall_now).ok()) {
    return out_.Reply(request, PutReply{.result = PutResult::kRefused});
  }
  if (serving && replicas_.IsResponsible(record.name.point)) return StartHere(request, std::move(record), moment);
  if (pass_on) return PassOn(request, std::move(record), moment);
  PutReply reply{.result = PutResult::kNotResponsible};
  if (serving || !replicas_.IsStoring()) reply.responsible = replicas_.Responsible(record.name.point);
  out_.Reply(request, std::move(reply));
}

void PutRounds::StartHere(RequestId request, Record record, const Moment& moment) {
  const uint64_t id = out_.NextId();
  Round round{
      .request = request, .record = std::make_shared<Record>(record), .responsible = replicas_.Responsible(record.name.point)};
  for (const Peer& peer : round.responsible) round.waiting.insert(peer.node_key);
  round.deadline = round.last_deadline = moment.now + kRoundTimeout;
  rounds_.emplace(id, std::move(round));
  admitter_.Admit(
      std::move(record), Source::kClient, [this, id](const Moment& then) { QueueCopies(id, then); },
      [this, id](const AdmitOutcome& outcome, const Moment& then) { OnLocal(id, outcome, then); }, moment);
}

void PutRounds::PassOn(RequestId request, Record record, const Moment& moment) {
  const uint64_t id = out_.NextId();
  const overlay::NodeId point = record.name.point;
  rounds_.emplace(id, Round{.request = request, .record = std::make_shared<Record>(std::move(record)), .is_here = false});
  owners_.Find(point, moment, TakeOwners(id));
}

// The round waits for nothing else meanwhile. Receipts of an earlier try count on: who gave one holds the record, and called
// itself responsible.
OwnerFinder::Found PutRounds::TakeOwners(uint64_t id) {
  return [this, id](OwnerTrail trail, const Moment& moment) {
    Round& round = rounds_.at(id);
    round.remembered = trail.remembered;
    round.is_stale = round.copies_queued = false;
    if (trail.owners.empty()) return Finish(id);
    trail.owners.resize(std::min(trail.owners.size(), static_cast<size_t>(network_.replica_count)));
    round.responsible = std::move(trail.owners);
    for (const Peer& peer : round.responsible) {
      const auto is_his = [&](const Receipt& receipt) { return receipt.node_key == peer.node_key; };
      if (std::none_of(round.receipts.begin(), round.receipts.end(), is_his)) round.waiting.insert(peer.node_key);
    }
    round.deadline = round.last_deadline = moment.now + kRoundTimeout;
    QueueCopies(id, moment);
    Progress(id, moment);
  };
}

void PutRounds::QueueCopies(uint64_t id, const Moment& moment) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end() || std::exchange(found->second.copies_queued, true)) return;
  const Round& round = found->second;
  for (const Peer& peer : round.responsible) {
    if (peer.node_key == node_key_.public_key() || !round.waiting.contains(peer.node_key)) continue;
    const LaneKey key(peer.node_key, peer.address, round.is_here);
    Lane& lane = lanes_.try_emplace(key, Lane{.to = peer, .replicates = round.is_here}).first->second;
    if (lane.waiting.size() == kCopiesWaitingMax) lane.waiting.pop_front();
    lane.waiting.push_back({.round = id, .record = round.record, .since = moment.now});
  }
  SendWave(moment);
}

// When the next wave leaves, as things stand.
absl::Time PutRounds::WaveDue() const { return calls_ > 0 ? left_ + kGather : absl::InfinitePast(); }

void PutRounds::SendWave(const Moment& moment) {
  if (WaveDue() > moment.now) return;
  size_t sent = 0;
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    if (!lane->second.is_busy) sent += SendCopies(lane->first, lane->second, moment) ? 1 : 0;
    const bool is_over = !lane->second.is_busy && lane->second.waiting.empty();
    lane = is_over ? lanes_.erase(lane) : std::next(lane);
  }
  if (sent == 0) return;
  ++wave_;
  calls_ = sent;
  left_ = moment.now;
}

// As many as fit one call, as part of the wave that is about to leave.
bool PutRounds::SendCopies(const LaneKey& key, Lane& lane, const Moment& moment) {
  std::vector<Record> records;
  std::vector<uint64_t> ids;
  size_t bytes = 0;
  for (; !lane.waiting.empty() && ids.size() < kPutRecordsMax; lane.waiting.pop_front()) {
    const Copy& copy = lane.waiting.front();
    if (copy.since + kRoundTimeout < moment.now) continue;
    bytes += copy.record->body.size() + kRecordHeaderSize;
    if (bytes > kFetchBytesMax && !ids.empty()) break;
    ids.push_back(copy.round);
    records.push_back(*copy.record);
  }
  if (ids.empty()) return false;
  lane.is_busy = true;
  lane.wave = wave_ + 1;
  auto handle = [this, key, ids = std::move(ids)](const absl::StatusOr<DhtReply>& reply, const Moment& then) {
    OnCopies(key, ids, AnswerAs<CopiesReply>(reply), then);
  };
  if (lane.replicates) {
    out_.Ask(lane.to, ReplicateRequest{std::move(records)}, std::move(handle));
  } else {
    out_.Ask(lane.to, PutRequest{std::move(records)}, std::move(handle));
  }
  return true;
}

void PutRounds::OnCopies(const LaneKey& key, const std::vector<uint64_t>& ids, const CopiesReply* reply, const Moment& moment) {
  Lane& lane = lanes_.at(key);
  const bool is_whole = reply != nullptr && reply->copies.size() == ids.size();
  for (size_t i = 0; i < ids.size(); ++i) {
    OnCopy(ids[i], lane.to, is_whole ? std::optional(reply->copies[i]) : std::nullopt, moment);
  }
  lane.is_busy = false;
  if (lane.wave == wave_) --calls_;
  if (lane.waiting.empty()) lanes_.erase(key);
  SendWave(moment);
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
                            SignReceipt(network_.name, node_key_, round.record->name, round.record->expiry));
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
  QueueCopies(id, moment);  // also when there is no room here: the others may have some
  Progress(id, moment);
}

void PutRounds::OnCopy(uint64_t id, const Peer& holder, const std::optional<CopyReply>& reply, const Moment& moment) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end()) return;
  Round& round = found->second;
  if (round.waiting.erase(holder.node_key) == 0) return;
  if (reply && reply->result == PutResult::kStored && reply->receipt && reply->receipt->node_key == holder.node_key) {
    round.receipts.push_back(*reply->receipt);
  } else if (reply && reply->result == PutResult::kNotResponsible) {
    round.is_stale = true;
  } else if (reply && !round.is_here && reply->result != PutResult::kStored) {
    round.without_receipts = reply->result;
    round.detail = reply->detail;
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
    return !VerifyReceipt(network_.name, receipt, round.record->name, round.record->expiry);
  };
  const auto first = round.receipts.begin() + static_cast<ptrdiff_t>(round.verified);
  round.receipts.erase(std::remove_if(first, round.receipts.end(), is_bad), round.receipts.end());
  round.verified = round.receipts.size();
}

void PutRounds::Finish(uint64_t id) {
  Round& round = rounds_.at(id);
  const bool is_short = round.receipts.size() < static_cast<size_t>(network_.write_quorum);
  if (round.remembered && (round.is_stale || is_short)) {  // the ring may have changed
    round.waiting.clear();
    round.deadline = absl::InfiniteFuture();
    return owners_.FindAgain(round.record->name.point, TakeOwners(id));
  }
  // No good one is dropped for a bad one.
  if (round.receipts.size() > static_cast<size_t>(network_.replica_count)) Verify(round);
  const auto is_responsible = [&](const Receipt& receipt) { return ContainsProcess(round.responsible, receipt.node_key); };
  std::stable_partition(round.receipts.begin(), round.receipts.end(), is_responsible);
  round.receipts.resize(std::min(round.receipts.size(), static_cast<size_t>(network_.replica_count)));
  PutReply reply{
      .result = PutResult::kStored, .receipts = std::move(round.receipts), .responsible = std::move(round.responsible)};
  if (reply.receipts.empty()) reply.result = round.without_receipts, reply.detail = round.detail;
  out_.Reply(round.request, std::move(reply));
  rounds_.erase(id);
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
  SendWave(moment);
}

absl::Time PutRounds::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, round] : rounds_) next = std::min(next, round.deadline);
  const bool has_waiting = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane.second.is_busy; });
  return has_waiting ? std::min(next, WaveDue()) : next;
}

}  // namespace dht
