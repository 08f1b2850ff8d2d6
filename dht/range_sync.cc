// SPDX-License-Identifier: Apache-2.0
#include "dht/range_sync.h"

#include <algorithm>
#include <utility>

namespace dht {

RangeSync::Id RangeSync::Start(SyncOrder order, Done done, const Moment&) {
  const Id id = out_.NextId();
  const bool compare_first = order.compare_first;
  pulls_.emplace(id, Pull{.order = std::move(order), .done = std::move(done)});
  if (compare_first) {
    AskDigest(id);
  } else {
    AskNames(id);
  }
  return id;
}

template <typename T>
Outbox::ReplyHandler RangeSync::Expect(Id id, std::function<void(const T&, const Moment&)> handle) {
  return [this, id, handle = std::move(handle)](const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
    if (!pulls_.contains(id)) return;
    const T* answer = AnswerAs<T>(reply);
    if (answer == nullptr) return Finish(id, absl::UnavailableError("replica gave no answer"), moment);
    handle(*answer, moment);
  };
}

void RangeSync::AskDigest(Id id) {
  const Pull& pull = pulls_.at(id);
  out_.Ask(pull.order.from, DigestRequest{pull.order.range},
           Expect<DigestReply>(id, [this, id](const DigestReply& reply, const Moment& moment) { OnDigest(id, reply, moment); }));
}

void RangeSync::AskNames(Id id) {
  const Pull& pull = pulls_.at(id);
  out_.Ask(pull.order.from, NamesRequest{pull.order.range, pull.cursor},
           Expect<NamesReply>(id, [this, id](const NamesReply& reply, const Moment& moment) { OnNames(id, reply, moment); }));
}

void RangeSync::AskFetch(Id id) {
  const Pull& pull = pulls_.at(id);
  const auto end = pull.missing.begin() + static_cast<ptrdiff_t>(std::min(pull.missing.size(), kFetchNamesMax));
  std::vector<RecordName> asked(pull.missing.begin(), end);
  auto handle = [this, id, asked](const FetchReply& reply, const Moment& moment) { OnFetched(id, asked, reply, moment); };
  out_.Ask(pull.order.from, FetchRequest{std::move(asked)}, Expect<FetchReply>(id, std::move(handle)));
}

void RangeSync::OnDigest(Id id, const DigestReply& reply, const Moment& moment) {
  if (!reply.responsible || (pulls_.at(id).order.as_witness && reply.suspect)) {
    return Finish(id, absl::UnavailableError("no holder of this range by its own account"), moment);
  }
  const absl::StatusOr<RangePrint> own = store_.Print(pulls_.at(id).order.range, moment.wall_now);
  if (own.ok() && *own == reply.print) return Finish(id, absl::OkStatus(), moment);
  AskNames(id);
}

bool RangeSync::Wants(const HeldName& offered, const Moment& moment) const {
  if (kinds_.Find(offered.name.kind) == nullptr || offered.expiry <= moment.wall_now) return false;
  const auto declined = declined_.find(offered.name);
  if (declined != declined_.end() && declined->second > moment.now) return false;
  const absl::StatusOr<Record> held = store_.Get(offered.name, moment.wall_now);
  return !held.ok() || held->expiry < offered.expiry;
}

void RangeSync::OnNames(Id id, const NamesReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  for (const HeldName& offered : reply.names) {
    if (!pull.order.range.Contains(offered.name.point)) {
      return Finish(id, absl::UnavailableError("replica names records of another range"), moment);
    }
    if (Wants(offered, moment)) pull.missing.push_back(offered.name);
  }
  // A page that says "more" but does not move the cursor would be asked for without end.
  pull.more = reply.more && !reply.names.empty() && reply.names.back().name != pull.cursor;
  if (pull.more) pull.cursor = reply.names.back().name;
  Advance(id, moment);
}

void RangeSync::OnFetched(Id id, const std::vector<RecordName>& asked, const FetchReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  size_t settled = reply.records.empty() ? asked.size() : 0;  // names before the last record that came are not held there
  std::vector<const Record*> good;
  for (const Record& record : reply.records) {
    const auto place = std::find(asked.begin() + static_cast<ptrdiff_t>(settled), asked.end(), record.name);
    if (place == asked.end()) return Finish(id, absl::UnavailableError("replica sent what was not asked"), moment);
    settled = static_cast<size_t>(place - asked.begin()) + 1;
    good.push_back(&record);
  }
  pull.missing.erase(pull.missing.begin(), pull.missing.begin() + static_cast<ptrdiff_t>(settled));
  pull.admitting = 1;  // held up until all are handed over, since one may be done at once
  for (const Record* record : good) AdmitOne(id, *record, moment);
  const auto still = pulls_.find(id);
  if (still == pulls_.end()) return;
  if (--still->second.admitting == 0) Advance(id, moment);
}

void RangeSync::AdmitOne(Id id, const Record& record, const Moment& moment) {
  if (!kinds_.Check(record, Source::kReplica, moment.wall_now).ok()) return Decline(record.name, moment);
  const auto pull = pulls_.find(id);
  if (pull != pulls_.end()) ++pull->second.admitting;
  auto done = [this, id, name = record.name](const AdmitOutcome& outcome, const Moment& then) {
    if (outcome.result == AdmitResult::kStored) ++pulled_;
    if (outcome.result == AdmitResult::kAlready || outcome.result == AdmitResult::kFull) Decline(name, then);
    const auto still = pulls_.find(id);
    if (still == pulls_.end()) return;
    const bool failed = outcome.result == AdmitResult::kNoSpace || outcome.result == AdmitResult::kFailed;
    still->second.no_space |= failed;
    if (--still->second.admitting == 0) Advance(id, then);
  };
  admitter_.Admit(record, Source::kReplica, nullptr, std::move(done), moment);
}

void RangeSync::Advance(Id id, const Moment& moment) {
  const Pull& pull = pulls_.at(id);
  if (pull.no_space) return Finish(id, absl::ResourceExhaustedError("no space for what the replica has"), moment);
  if (!pull.missing.empty()) return AskFetch(id);
  if (pull.more) return AskNames(id);
  Finish(id, absl::OkStatus(), moment);
}

void RangeSync::Finish(Id id, const absl::Status& status, const Moment& moment) {
  auto node = pulls_.extract(id);
  if (node) node.mapped().done(status, moment);
}

void RangeSync::Decline(const RecordName& name, const Moment& moment) {
  if (declined_.size() >= kDeclinedMax) declined_.clear();
  declined_[name] = moment.now + kDeclineFor;
}

}  // namespace dht
