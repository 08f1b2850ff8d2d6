// SPDX-License-Identifier: Apache-2.0
#include "dht/admitter.h"

#include <utility>

namespace dht {

// What the batch so far will leave in the store: changes by name, nothing for a removal. It is also the view a kind decides by.
struct Admitter::Batch : public PlaceView {
  Batch(const RecordStore& store_in, const RangeIndex& index_in, const Moment& moment_in)
      : store(store_in), index(index_in), moment(moment_in) {}

  // Most places are new: the index of a sound store knows that without a look at the disk.
  bool MayHold() const { return store.suspect() || index.HoldsAt(place); }
  void ForEach(Kind kind, const std::function<void(const Record&)>& visit) const override {
    if (MayHold()) ForEachStored(kind, visit);
    for (auto change = changes.lower_bound({.kind = kind, .point = place, .id = {}}); change != changes.end(); ++change) {
      if (change->first.kind != kind || change->first.point != place) break;
      if (change->second) visit(*change->second);
    }
  }
  void ForEachStored(Kind kind, const std::function<void(const Record&)>& visit) const {
    const absl::Status status = store.ForEach(place, kind, moment.wall_now, [&](const Record& held) {
      if (!changes.contains(held.name)) visit(held);
    });
    is_blind |= !status.ok();
  }
  bool Holds(const RecordName& name) const override {
    const auto change = changes.find(name);
    if (change != changes.end()) return change->second.has_value();
    if (!MayHold()) return false;
    const absl::Status held = store.Get(name, moment.wall_now).status();
    is_blind |= absl::IsUnavailable(held);
    return held.ok();
  }

  void Change(const RecordName& name, std::optional<Record> record) {
    changes[name] = std::move(record);
    touched.insert(place);
  }

  const RecordStore& store;
  const RangeIndex& index;
  const Moment moment;
  overlay::NodeId place;          // of the record being decided
  mutable bool is_blind = false;  // what is held there could not be read
  std::map<RecordName, std::optional<Record>> changes;
  absl::flat_hash_set<overlay::NodeId> touched;  // places with changes
  uint64_t bytes = 0;
};

void Admitter::Admit(Record record, Source source, Begun begun, Done done, const Moment& moment) {
  if (queue_.size() >= kAdmitQueueMax) return done({.result = AdmitResult::kFailed}, moment);
  const RecordName name = record.name;
  queue_.push_back(
      {.record = std::move(record), .source = source, .name = name, .begun = std::move(begun), .done = std::move(done)});
  Pump(moment);
}

void Admitter::Remove(const std::vector<HeldName>& names, const Moment& moment) {
  for (const HeldName& held : names) queue_.push_back({.name = held.name, .expiry = held.expiry});
  Pump(moment);
}

std::vector<Admitter::Job> Admitter::TakeJobs() {
  std::vector<Job> taken;
  size_t bytes = 0;
  std::deque<Job> rest;
  absl::flat_hash_set<overlay::NodeId> blocked;  // places whose earlier job stays behind: order within a place is kept
  for (Job& job : queue_) {
    const size_t size = job.record ? job.record->body.size() : 0;
    const bool fits = taken.size() < kBatchRecordsMax && (taken.empty() || bytes + size <= kBatchBytesMax);
    if (!fits || busy_places_.contains(job.name.point) || blocked.contains(job.name.point)) {
      blocked.insert(job.name.point);
      rest.push_back(std::move(job));
    } else {
      bytes += size;
      taken.push_back(std::move(job));
    }
  }
  queue_ = std::move(rest);
  return taken;
}

AdmitOutcome Admitter::DecideRemoval(const Job& job, Batch& batch) {
  const absl::StatusOr<Record> held = store_.Get(job.name, absl::InfinitePast());
  const bool is_damaged = absl::IsDataLoss(held.status());
  const bool is_the_one = held.ok() && held->expiry <= job.expiry && !batch.changes.contains(job.name);
  if (is_damaged || is_the_one) batch.Change(job.name, std::nullopt);
  return {.result = AdmitResult::kStored};
}

bool Admitter::HasRoom(uint64_t size, const Batch& batch) const {
  return store_.counts().bytes + bytes_in_flight_ + batch.bytes + size <= bytes_max_ &&
         index_.count() + batch.changes.size() < kIndexedMax;
}

AdmitOutcome Admitter::Decide(Job& job, Batch& batch) {
  batch.place = job.name.point;
  batch.is_blind = false;
  if (!job.record) return DecideRemoval(job, batch);
  const RecordKind* kind = kinds_.Find(job.name.kind);
  if (kind == nullptr) return {.result = AdmitResult::kFailed};
  const Admission admission = kind->Admit(*job.record, job.source, batch);
  if (batch.is_blind) return {.result = AdmitResult::kFailed};
  if (admission.verdict == Admission::Verdict::kFull) return {.result = AdmitResult::kFull, .detail = admission.detail};
  if (admission.verdict == Admission::Verdict::kStore) {
    const uint64_t size = job.record->body.size() + kRecordHeaderSize;
    if (!HasRoom(size, batch)) return {.result = AdmitResult::kNoSpace};
    batch.bytes += size;
    batch.Change(job.name, std::move(*job.record));
  }
  for (const RecordName& name : admission.remove) batch.Change(name, std::nullopt);
  const bool stores = admission.verdict == Admission::Verdict::kStore;
  return {.result = stores ? AdmitResult::kStored : AdmitResult::kAlready, .detail = admission.detail};
}

void Admitter::Pump(const Moment& moment) {
  while (!queue_.empty() && static_cast<int>(writes_.size()) < (queue_.size() < kQueueForSecond ? 1 : kWritesInFlight)) {
    std::vector<Job> jobs = TakeJobs();
    if (jobs.empty()) return;
    Batch batch(store_, index_, moment);
    std::vector<Decided> decided;
    for (Job& job : jobs) {
      const AdmitOutcome outcome = Decide(job, batch);
      const bool taken = outcome.result == AdmitResult::kStored || outcome.result == AdmitResult::kAlready;
      // "Already" may rest on a record of this very batch: then it is true once the batch is on disk.
      const bool needs_write = batch.touched.contains(job.name.point) || (job.source == Source::kClient && taken);
      decided.push_back({std::move(job), outcome, needs_write});
    }
    WriteBatch writes;
    for (auto& [name, record] : batch.changes) {
      if (record) {
        writes.puts.push_back(std::move(*record));
      } else {
        writes.removes.push_back(name);
      }
    }
    Submit(std::move(decided), std::move(writes), moment);
  }
}

void Admitter::Submit(std::vector<Decided> decided, WriteBatch writes, const Moment& moment) {
  InFlight in_flight;
  std::vector<Decided> settled;
  in_flight.removes = writes.removes;
  for (const Record& record : writes.puts) {
    in_flight.bytes += record.body.size() + kRecordHeaderSize;
    in_flight.puts.push_back({.name = record.name, .expiry = record.expiry});
  }
  for (Decided& one : decided) (one.needs_write ? in_flight.decided : settled).push_back(std::move(one));
  std::vector<Begun> begun;
  for (Decided& one : in_flight.decided) {
    busy_places_.insert(one.job.name.point);
    if (one.job.begun && one.outcome.result != AdmitResult::kFull) begun.push_back(std::move(one.job.begun));
  }
  if (!in_flight.decided.empty()) {
    const WriteId id = out_.NextId();
    bytes_in_flight_ += in_flight.bytes;
    writes_.emplace(id, std::move(in_flight));
    out_.Add(Write{id, std::move(writes)});
  }
  for (Decided& one : settled) {
    if (one.outcome.result == AdmitResult::kAlready && one.job.begun) one.job.begun(moment);
    if (one.job.done) one.job.done(one.outcome, moment);
  }
  for (const Begun& begin : begun) begin(moment);
}

void Admitter::OnApplied(WriteId id, const absl::Status& status, const Moment& moment) {
  auto node = writes_.extract(id);
  if (!node) return;
  InFlight& write = node.mapped();
  bytes_in_flight_ -= write.bytes;
  for (const Decided& one : write.decided) busy_places_.erase(one.job.name.point);
  if (status.ok()) {
    for (const RecordName& name : write.removes) index_.Remove(name);
    for (const HeldName& held : write.puts) index_.Put(held.name, held.expiry);
  }
  const AdmitResult failure = absl::IsResourceExhausted(status) ? AdmitResult::kNoSpace : AdmitResult::kFailed;
  for (Decided& one : write.decided) {
    const bool stands = status.ok() || one.outcome.result == AdmitResult::kFull;  // who was refused stays refused
    if (one.job.done) one.job.done(stands ? one.outcome : AdmitOutcome{.result = failure}, moment);
  }
  Pump(moment);
}

}  // namespace dht
