// SPDX-License-Identifier: Apache-2.0
#include "dht/get_rounds.h"

#include <algorithm>
#include <utility>

namespace dht {

using overlay::Peer;

bool GetRounds::IsGood(const RecordName& name, const Record& record, const Moment& moment) const {
  return record.name == name && kinds_.Check(record, Source::kReplica, moment.wall_now).ok();
}

void GetRounds::Start(RequestId request, const RecordName& name, bool serving, bool pass_on, const Moment& moment) {
  const RecordKind* kind = kinds_.Find(name.kind);
  if (kind == nullptr || !kind->AnswersGet()) return out_.Reply(request, absl::InvalidArgumentError("no GET for this kind"));
  if (rounds_.size() >= kRoundsMax || passed_on_.size() >= kRoundsMax) {
    return out_.Reply(request, absl::ResourceExhaustedError("too many gets under way"));
  }
  absl::StatusOr<Record> held = store_.Get(name, moment.wall_now);
  if (absl::IsDataLoss(held.status())) admitter_.Remove({{.name = name, .expiry = absl::InfinitePast()}}, moment);
  if (held.ok()) return out_.Reply(request, GetReply{.record = *std::move(held), .complete = true});
  if (serving && replicas_.IsResponsible(name.point)) return StartHere(request, name, !absl::IsNotFound(held.status()), moment);
  if (pass_on) return PassOn(request, name, moment);
  GetReply reply;
  if (serving || !replicas_.IsStoring()) reply.responsible = replicas_.Responsible(name.point);
  out_.Reply(request, std::move(reply));
}

bool GetRounds::HasWitnesses(const Round& round, absl::Time now) const {
  return round.witnesses >= (round.is_blind ? kOthersWithoutSelf : witness_.OthersNeeded(round.name.point, now));
}

void GetRounds::StartHere(RequestId request, const RecordName& name, bool is_blind, const Moment& moment) {
  const uint64_t id = out_.NextId();
  Round round{.request = request, .name = name, .responsible = replicas_.Responsible(name.point), .is_blind = is_blind};
  round.deadline = moment.now + kRoundTimeout;
  for (const Peer& peer : round.responsible) {
    if (peer.SameProcess(*replicas_.self())) continue;
    round.waiting.insert(peer.node_key);
    auto handle = [this, id, peer](const absl::StatusOr<DhtReply>& reply, const Moment& then) {
      OnFetched(id, peer, AnswerAs<FetchReply>(reply), then);
    };
    out_.Ask(peer, FetchRequest{{name}}, std::move(handle));
  }
  const bool is_alone = round.waiting.empty();
  rounds_.emplace(id, std::move(round));
  if (is_alone) Finish(id, std::nullopt, moment);
}

void GetRounds::OnFetched(uint64_t id, const Peer& holder, const FetchReply* reply, const Moment& moment) {
  const auto found = rounds_.find(id);
  if (found == rounds_.end()) return;
  Round& round = found->second;
  round.waiting.erase(holder.node_key);
  if (reply != nullptr && !reply->records.empty() && IsGood(round.name, reply->records.front(), moment)) {
    admitter_.Admit(reply->records.front(), Source::kReplica, nullptr, nullptr, moment);  // repaired in passing
    return Finish(id, reply->records.front(), moment);
  }
  if (reply != nullptr && reply->records.empty()) ++round.witnesses;
  if (round.waiting.empty()) return Finish(id, std::nullopt, moment);
  if (HasWitnesses(round, moment.now)) round.deadline = std::min(round.deadline, moment.now + kRoundGrace);
}

void GetRounds::Finish(uint64_t id, std::optional<Record> record, const Moment& moment) {
  auto node = rounds_.extract(id);
  Round& round = node.mapped();
  const bool complete = record.has_value() || HasWitnesses(round, moment.now);
  out_.Reply(round.request,
             GetReply{.record = std::move(record), .complete = complete, .responsible = std::move(round.responsible)});
}

void GetRounds::OnTick(const Moment& moment) {
  std::vector<uint64_t> due;
  for (const auto& [id, round] : rounds_) {
    if (round.deadline <= moment.now) due.push_back(id);
  }
  std::sort(due.begin(), due.end());
  for (const uint64_t id : due) Finish(id, std::nullopt, moment);
}

absl::Time GetRounds::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, round] : rounds_) next = std::min(next, round.deadline);
  return next;
}

void GetRounds::PassOn(RequestId request, const RecordName& name, const Moment& moment) {
  const uint64_t id = out_.NextId();
  passed_on_.emplace(id, PassedOn{.request = request, .name = name});
  owners_.Find(name.point, moment, TakeOwners(id));
}

OwnerFinder::Found GetRounds::TakeOwners(uint64_t id) {
  return [this, id](OwnerTrail trail, const Moment&) {
    passed_on_.at(id).trail = std::move(trail);
    TryNext(id);
  };
}

void GetRounds::TryNext(uint64_t id) {
  PassedOn& passed = passed_on_.at(id);
  const Peer* const next = passed.trail.Next();
  if (next == nullptr) {
    if (passed.trail.remembered) return owners_.FindAgain(passed.name.point, TakeOwners(id));
    out_.Reply(passed.request, GetReply{.responsible = passed.trail.owners});
    passed_on_.erase(id);
    return;
  }
  auto handle = [this, id](const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
    OnPassedOn(id, AnswerAs<GetReply>(reply), moment);
  };
  out_.Ask(*next, GetRequest{passed.name}, std::move(handle));
}

void GetRounds::OnPassedOn(uint64_t id, const GetReply* reply, const Moment& moment) {
  PassedOn& passed = passed_on_.at(id);
  const bool is_good = reply != nullptr && reply->record && IsGood(passed.name, *reply->record, moment);
  const bool is_absent = reply != nullptr && !reply->record && reply->complete;
  if (!is_good && !is_absent) return TryNext(id);
  out_.Reply(passed.request,
             GetReply{.record = is_good ? reply->record : std::nullopt, .complete = true, .responsible = passed.trail.owners});
  passed_on_.erase(id);
}

}  // namespace dht
