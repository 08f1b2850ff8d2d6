// SPDX-License-Identifier: Apache-2.0
#include "dht/range_sync.h"

#include <algorithm>
#include <utility>

#include "dht/replica_set.h"

namespace dht {

namespace {

// How many symbols the next page has: about what the expected differences need, then small steps, in the end ever larger ones.
size_t PageSize(uint64_t expected, size_t sent, int pages) {
  constexpr size_t kFirst = 8, kLeast = 4;
  constexpr int kSmallSteps = 5;
  size_t size = std::max(kLeast, sent / (pages < kSmallSteps ? 16 : 2));
  const size_t likely = expected == 0 ? kFirst : 1 + expected * 4 / 3;
  if (sent < likely) size = likely - sent;
  return std::min({size, kSymbolsPageMax, kSymbolsMax - sent});
}

}  // namespace

RangeSync::Id RangeSync::Start(SyncOrder order, Done done, const Moment& moment) {
  const Id id = out_.NextId();
  const SyncOrder& kept = pulls_.emplace(id, Pull{.order = std::move(order), .done = std::move(done)}).first->second.order;
  pulls_.at(id).begun = moment.now;
  pulls_.at(id).range = kept.range;
  pulls_.at(id).ranges = kept.confirm;
  switch (kept.compare) {
    case Compare::kNothing:
      AskNames(id);
      break;
    case Compare::kRanges:
      CompareByRanges(id, moment);
      break;
    case Compare::kSymbols:
      AskReconcile(id, moment);
      break;
  }
  return id;
}

template <typename T>
Outbox::ReplyHandler RangeSync::Expect(Id id, std::function<void(const T&, const Moment&)> handle) {
  return [this, id, handle = std::move(handle)](const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
    const auto found = pulls_.find(id);
    if (found == pulls_.end()) return;
    const T* answer = AnswerAs<T>(reply);
    if (answer == nullptr) return Finish(id, absl::UnavailableError("replica gave no answer"), moment);
    Pull& pull = found->second;
    pull.earned += kPullAnswerWorth;
    if (moment.now - pull.begun > kPullGrace + absl::Seconds(1) * (pull.earned / kPullRateLeast)) {
      return Finish(id, absl::UnavailableError("replica is too slow"), moment);
    }
    handle(*answer, moment);
  };
}

void RangeSync::TakeDoubts(Pull& pull, const overlay::RingRange& range, bool suspect,
                           const std::vector<overlay::RingRange>& doubts) {
  pull.compared = true;
  if (!suspect) return;
  if (doubts.empty()) pull.doubts.push_back(range);
  pull.doubts.insert(pull.doubts.end(), doubts.begin(), doubts.end());
  if (pull.doubts.size() > kPullDoubtsMax) pull.doubts = {pull.order.range};
}

void RangeSync::AskReconcile(Id id, const Moment& moment) {
  const overlay::RingRange& range = pulls_.at(id).order.range;
  index_.Expire(moment.wall_now);
  Continue(id, {.after = PointPrefix(range.after), .last = PointPrefix(range.last), .print = ShortPrint(index_.Print(range))});
}

void RangeSync::Continue(Id id, ReconcileRequest request) {
  auto handle = [this, id](const ReconcileReply& reply, const Moment& moment) { OnReconcile(id, reply, moment); };
  out_.Ask(pulls_.at(id).order.from, std::move(request), Expect<ReconcileReply>(id, std::move(handle)));
}

void RangeSync::OnReconcile(Id id, const ReconcileReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  if (reply.state == ReconcileState::kEqual || reply.state == ReconcileState::kDiffers) {
    TakeDoubts(pull, pull.order.range, reply.suspect, reply.doubts);
  }
  switch (reply.state) {
    case ReconcileState::kNotHolder:
      return Finish(id, absl::UnavailableError("no holder of this range by its own account"), moment);
    case ReconcileState::kEqual:
      return Finish(id, absl::OkStatus(), moment);
    case ReconcileState::kDiffers: {
      if (pull.exchange != 0) return Finish(id, absl::UnavailableError("replica begins twice"), moment);
      const uint64_t own = index_.Count(pull.order.range);
      pull.exchange = reply.exchange;
      pull.expected = std::max(own, reply.count) - std::min(own, reply.count);
      return PrepareSymbols(id, reply.salt, moment);
    }
    case ReconcileState::kMoreSymbols:
      return SendSymbols(id, moment);
    case ReconcileState::kRecords:
      return OnRecords(id, reply, moment);
    case ReconcileState::kUnknownRange:
      if (pull.exchange != 0) return Finish(id, absl::UnavailableError("replica lost the exchange"), moment);
      return CompareByRanges(id, moment);
    case ReconcileState::kFailed:
      return CompareByRanges(id, moment);
  }
}

void RangeSync::PrepareSymbols(Id id, uint64_t salt, const Moment& moment) {
  const Pull& pull = pulls_.at(id);
  const std::shared_ptr<SymbolRow> row = symbols_.Open(pull.order.range, salt);
  const size_t size = PageSize(pull.expected, 0, 0);
  if (row == nullptr || pull.expected >= kSymbolsMax / 4 * 3) return CompareByRanges(id, moment);  // too different for symbols
  auto ready = [this, id, row](const Moment& then) {
    const auto found = pulls_.find(id);
    if (found == pulls_.end()) return;
    found->second.view = std::make_unique<SymbolView>(row);
    PretendDeclined(*row, *found->second.view, then);
    SendSymbols(id, then);
  };
  symbols_.Await(row, size, std::move(ready), moment);
}

// Of those that are not here after all, and may be offered.
void RangeSync::PretendDeclined(const SymbolRow& row, SymbolView& view, const Moment& moment) const {
  for (const auto& [name, declined] : declined_) {
    const bool counts = declined.until > moment.now && row.range().Contains(name.point);
    if (counts && !index_.Find(index_.ids().Of(declined.print))) view.Pretend(declined.print);
  }
}

void RangeSync::SendSymbols(Id id, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  if (pull.view == nullptr) return Finish(id, absl::UnavailableError("replica wants symbols of no exchange"), moment);
  const size_t size = PageSize(pull.expected, pull.sent, pull.pages);
  if (size == 0) return CompareByRanges(id, moment);
  auto ready = [this, id, size](const Moment& then) {
    const auto found = pulls_.find(id);
    if (found == pulls_.end()) return;
    Pull& ours = found->second;
    if (ours.view->lost()) return Finish(id, absl::UnavailableError("too much changed meanwhile"), then);
    const auto first = static_cast<uint32_t>(ours.sent);
    ours.sent += size;
    ++ours.pages;
    Continue(id, {.exchange = ours.exchange, .first = first, .symbols = ours.view->Read(first, ours.sent)});
  };
  const std::shared_ptr<SymbolRow> row = pull.view->shared_row();
  symbols_.Await(row, pull.sent + size, std::move(ready), moment);
}

void RangeSync::OnRecords(Id id, const ReconcileReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  // An answer that gives nothing and promises more, or never less, would be asked for again without end.
  const uint64_t left = pull.remaining == 0 ? kSymbolsMax : pull.remaining;  // more cannot be told by symbols
  const bool shrinks = reply.remaining + reply.records.size() <= left;
  const bool moves = reply.remaining == 0 || (!reply.records.empty() && shrinks);
  if (!moves) return Finish(id, absl::UnavailableError("replica promises records and does not give them"), moment);
  for (const Record& record : reply.records) {
    if (!pull.order.range.Contains(record.name.point)) {
      return Finish(id, absl::UnavailableError("replica gives records of another range"), moment);
    }
  }
  pull.view.reset();
  pull.more = false;
  pull.remaining = reply.remaining;
  pull.admitting = 1;  // held up until all are handed over, since one may be done at once
  for (const Record& record : reply.records) AdmitOne(id, record, moment);
  const auto still = pulls_.find(id);
  if (still == pulls_.end()) return;
  if (--still->second.admitting == 0) Advance(id, moment);
}

uint64_t RangeSync::remaining() const {
  uint64_t sum = 0;
  for (const auto& [id, pull] : pulls_) sum += pull.remaining + pull.missing.size();
  return sum;
}

void RangeSync::OnTick(const Moment& moment) {
  std::vector<Id> due;
  for (const auto& [id, pull] : pulls_) {
    if (pull.resume_at <= moment.now) due.push_back(id);
  }
  std::sort(due.begin(), due.end());
  for (const Id id : due) {
    Pull& pull = pulls_.at(id);
    if (admitter_.waiting() > 0) {
      pull.resume_at = moment.now + kRepairPace;
      pull.begun += kRepairPace;
    } else {
      pull.resume_at = absl::InfiniteFuture();
      Continue(id, {.exchange = pull.exchange});
    }
  }
}

absl::Time RangeSync::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, pull] : pulls_) next = std::min(next, pull.resume_at);
  return next;
}

void RangeSync::CompareByRanges(Id id, const Moment&) {
  Pull& pull = pulls_.at(id);
  pull.view.reset();
  pull.ranges = {pull.order.range};
  AskDigest(id);
}

void RangeSync::NextRange(Id id, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  if (pull.ranges.empty()) return Finish(id, absl::OkStatus(), moment);
  AskDigest(id);
}

// Puts the parts in front of what is still to compare. False: there is nothing to split it by.
bool RangeSync::SplitRange(Id id, const overlay::RingRange& range) {
  const uint64_t count = index_.Count(range);
  if (count < kSplitLeast) return false;
  std::vector<overlay::RingRange> parts;
  overlay::NodeId after = range.after;
  for (size_t i = 1; i < kSplit; ++i) {
    const overlay::NodeId last = index_.PointAt(range, count * i / kSplit);
    if (last == after || last == range.last) continue;
    parts.push_back({.after = after, .last = last});
    after = last;
  }
  if (parts.empty()) return false;
  parts.push_back({.after = after, .last = range.last});
  pulls_.at(id).ranges.insert(pulls_.at(id).ranges.end(), parts.rbegin(), parts.rend());
  return true;
}

void RangeSync::AskDigest(Id id) {
  Pull& pull = pulls_.at(id);
  const overlay::RingRange range = pull.ranges.back();
  pull.ranges.pop_back();
  auto handle = [this, id, range](const DigestReply& reply, const Moment& moment) { OnDigest(id, range, reply, moment); };
  out_.Ask(pull.order.from, DigestRequest{range}, Expect<DigestReply>(id, std::move(handle)));
}

void RangeSync::AskNames(Id id) {
  Pull& pull = pulls_.at(id);
  pull.asks_names = true;
  out_.Ask(pull.order.from, NamesRequest{pull.range, pull.cursor},
           Expect<NamesReply>(id, [this, id](const NamesReply& reply, const Moment& moment) { OnNames(id, reply, moment); }));
}

void RangeSync::AskFetch(Id id) {
  Pull& pull = pulls_.at(id);
  ++pull.fetching;
  const auto end = pull.missing.begin() + static_cast<ptrdiff_t>(std::min(pull.missing.size(), pull.fetch_names));
  std::vector<RecordName> asked(pull.missing.begin(), end);
  pull.missing.erase(pull.missing.begin(), end);
  auto handle = [this, id, asked](const FetchReply& reply, const Moment& moment) { OnFetched(id, asked, reply, moment); };
  out_.Ask(pull.order.from, FetchRequest{std::move(asked)}, Expect<FetchReply>(id, std::move(handle)));
}

void RangeSync::OnDigest(Id id, const overlay::RingRange& range, const DigestReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  TakeDoubts(pull, range, reply.suspect || !reply.responsible,
             reply.responsible ? reply.doubts : std::vector<overlay::RingRange>());
  if (!reply.responsible) {
    if (pull.order.compare == Compare::kNothing) return NextRange(id, moment);  // a part it never had: the download stands
    return Finish(id, absl::UnavailableError("no holder of this range by its own account"), moment);
  }
  index_.Expire(moment.wall_now);
  if (reply.print.count == 0 || index_.Print(range) == reply.print) return NextRange(id, moment);
  if (SplitRange(id, range)) return NextRange(id, moment);
  pull.range = range;
  pull.cursor.reset();
  AskNames(id);
}

bool RangeSync::Wants(const HeldName& offered, const Moment& moment) const {
  if (kinds_.Find(offered.name.kind) == nullptr || offered.expiry <= moment.wall_now) return false;
  const auto declined = declined_.find(offered.name);
  if (declined != declined_.end() && declined->second.until > moment.now) return false;
  if (!store_.suspect() && !index_.HoldsAt(offered.name.point)) return true;
  const absl::StatusOr<Record> held = store_.Get(offered.name, moment.wall_now);
  return !held.ok() || held->expiry < offered.expiry;
}

void RangeSync::OnNames(Id id, const NamesReply& reply, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  pull.asks_names = false;
  for (const HeldName& offered : reply.names) {
    if (!pull.range.Contains(offered.name.point)) {
      return Finish(id, absl::UnavailableError("replica names records of another range"), moment);
    }
    if (pull.cursor && !ComesBeforeIn(pull.range, *pull.cursor, offered.name)) {
      return Finish(id, absl::UnavailableError("replica names records twice, or out of order"), moment);
    }
    pull.cursor = offered.name;
    if (Wants(offered, moment)) pull.missing.push_back(offered.name);
  }
  pull.more = reply.more && !reply.names.empty();  // "more" of nothing would be asked for without end
  pull.named += reply.names.size();
  if (pull.named > kPullNamesMax) return Finish(id, absl::UnavailableError("replica names more than a node holds"), moment);
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
  --pull.fetching;
  pull.missing.insert(pull.missing.begin(), asked.begin() + static_cast<ptrdiff_t>(settled), asked.end());
  const bool was_cut = settled < asked.size();
  pull.fetch_names = was_cut ? good.size() + good.size() / 8 + 1 : std::min(kFetchNamesMax, 2 * pull.fetch_names);
  pull.hollow += settled - good.size();
  ++pull.admitting;  // held up until all are handed over, since one may be done at once
  for (const Record* record : good) AdmitOne(id, *record, moment);
  const auto still = pulls_.find(id);
  if (still == pulls_.end()) return;
  --still->second.admitting;
  Advance(id, moment);
}

void RangeSync::AdmitOne(Id id, const Record& record, const Moment& moment) {
  const bool is_good = kinds_.Check(record, Source::kReplica, moment.wall_now).ok();
  if (const auto pull = pulls_.find(id); pull != pulls_.end()) {
    pull->second.earned += record.body.size();
    is_good ? ++pull->second.admitting : ++pull->second.hollow;
  }
  if (!is_good) return Decline(record.name, record.expiry, moment);
  auto done = [this, id, name = record.name, expiry = record.expiry](const AdmitOutcome& outcome, const Moment& then) {
    if (outcome.result == AdmitResult::kStored) ++pulled_;
    const bool is_here = index_.Find(index_.ids().Of(RecordPrint(name, expiry))).has_value();  // by another pull: not in vain
    if (outcome.result == AdmitResult::kFull || (outcome.result == AdmitResult::kAlready && !is_here))
      Decline(name, expiry, then);
    const auto still = pulls_.find(id);
    if (still == pulls_.end()) return;
    const bool failed = outcome.result == AdmitResult::kNoSpace || outcome.result == AdmitResult::kFailed;
    still->second.no_space |= failed;
    if (outcome.result == AdmitResult::kAlready) ++still->second.hollow;
    --still->second.admitting;
    Advance(id, then);
  };
  admitter_.Admit(record, Source::kReplica, nullptr, std::move(done), moment);
}

// Asks for what may be under way beside what is.
void RangeSync::Pump(Id id) {
  Pull& pull = pulls_.at(id);
  const bool downloads = pull.order.compare == Compare::kNothing;
  const int pages = downloads ? kFetchesInFlight : 1, waiting = downloads ? kAdmittingMax : 1;
  while (!pull.missing.empty() && pull.fetching < pages && pull.admitting < waiting) AskFetch(id);
  const bool is_idle = pull.missing.empty() && pull.fetching == 0 && pull.admitting == 0;
  const bool wants_names = downloads ? pull.missing.size() <= kNamesPageMax : is_idle;
  if (pull.more && !pull.asks_names && wants_names) AskNames(id);
}

void RangeSync::Advance(Id id, const Moment& moment) {
  Pull& pull = pulls_.at(id);
  if (pull.no_space) return Finish(id, absl::ResourceExhaustedError("no space for what the replica has"), moment);
  if (pull.hollow > kPullHollowMax) return Finish(id, absl::UnavailableError("replica gives nothing of use"), moment);
  Pump(id);
  if (pull.asks_names || pull.fetching > 0 || pull.admitting > 0) return;
  if (pull.remaining > 0) {
    pull.resume_at = moment.now + kRepairPace;
  } else {
    NextRange(id, moment);
  }
}

void RangeSync::Finish(Id id, const absl::Status& status, const Moment& moment) {
  auto node = pulls_.extract(id);
  if (!node) return;
  const Pull& pull = node.mapped();
  pull.done({.status = status, .by_witness = status.ok() && pull.compared, .doubts = pull.doubts}, moment);
}

void RangeSync::Decline(const RecordName& name, absl::Time expiry, const Moment& moment) {
  if (declined_.size() >= kDeclinedMax) declined_.clear();
  declined_[name] = {.until = moment.now + kDeclineFor, .print = RecordPrint(name, expiry)};
}

}  // namespace dht
