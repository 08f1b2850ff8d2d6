// SPDX-License-Identifier: Apache-2.0
#include "chat/door_kinds.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/byte_reader.h"
#include "base/status_macros.h"

namespace chat {

namespace {

// Offset of the ids in a tombstone's body.
constexpr size_t kIdsOffset = 38;

absl::Status CheckDay(Day day, Day past_days, absl::Time expiry, absl::Time wall_now) {
  if (expiry + dht::kClockTolerance <= wall_now) return absl::InvalidArgumentError("record of a door that is gone");
  const Day today = DayOf(wall_now + dht::kClockTolerance);
  if (day > today + 1) return absl::InvalidArgumentError("record of a door to come");
  if (int64_t{day} + past_days < DayOf(wall_now)) return absl::InvalidArgumentError("record of a door of the past");
  return absl::OkStatus();
}

bool Names(const dht::Record& tombstone, const dht::RecordId& id) {
  base::ByteReader in(tombstone.body);
  in.Take(kIdsOffset);
  const size_t count = TombstoneIdCount(tombstone.body);
  for (size_t i = 0; i < count; ++i) {
    if (in.Array<32>() == id) return true;
  }
  return false;
}

bool IsDeleted(const dht::RecordId& id, const dht::PlaceView& place) {
  bool deleted = false;
  place.ForEach(dht::Kind::kTombstone, [&](const dht::Record& tombstone) { deleted = deleted || Names(tombstone, id); });
  return deleted;
}

// The envelopes of a place in their order, first to last.
std::vector<Rank> RanksAt(const dht::PlaceView& place) {
  std::vector<Rank> ranks;
  place.ForEach(dht::Kind::kEnvelope, [&](const dht::Record& record) { ranks.push_back(RankOf(record)); });
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

// What a full place makes room with: all from the last rank that no longer fits.
std::vector<dht::RecordName> Overhang(const std::vector<Rank>& ranks, const dht::Record& comer) {
  std::vector<dht::RecordName> names;
  for (size_t i = kDoorEnvelopesMax - 1; i < ranks.size(); ++i) {
    names.push_back({dht::Kind::kEnvelope, comer.name.point, ranks[i].id});
  }
  return names;
}

// The effort that a client's envelope has to exceed; nothing while there is room. Without a hash for each envelope held: this is
// what a flood asks for again and again.
std::optional<uint32_t> EffortToExceed(const dht::PlaceView& place) {
  std::vector<uint32_t> efforts;
  place.ForEach(dht::Kind::kEnvelope, [&](const dht::Record& record) { efforts.push_back(EffortOf(record)); });
  if (efforts.size() < kDoorEnvelopesMax) return std::nullopt;
  const auto last = efforts.begin() + (kDoorEnvelopesMax - 1);
  std::nth_element(efforts.begin(), last, efforts.end(), std::greater<>());
  return *last;
}

uint32_t EffortToOutbid(uint32_t last) { return last == UINT32_MAX ? UINT32_MAX : last + 1; }

// Tombstones of a place in the order in which they are kept.
struct Weight {
  size_t ids = 0;
  dht::RecordId id{};

  bool operator<(const Weight& other) const { return std::tie(ids, id) < std::tie(other.ids, other.id); }
};
std::set<Weight> WeightsAt(const dht::PlaceView& place) {
  std::set<Weight> weights;
  place.ForEach(dht::Kind::kTombstone, [&](const dht::Record& record) {
    weights.insert({TombstoneIdCount(record.body), record.name.id});
  });
  return weights;
}

// Those beyond kDoorDeletedMax ids.
std::vector<dht::RecordId> BeyondLimit(const std::set<Weight>& weights) {
  std::vector<dht::RecordId> beyond;
  size_t sum = 0;
  for (const Weight& weight : weights) {
    sum += weight.ids;
    if (sum > kDoorDeletedMax) beyond.push_back(weight.id);
  }
  return beyond;
}

}  // namespace

bool EnvelopeKind::ProvesEffort(const Envelope& envelope, const dht::RecordId& id) const {
  if (envelope.effort == 0) return stamp_check_(envelope).value_or(false);
  if (const std::optional<bool> known = stamps_.Find(id)) return *known;
  const std::optional<bool> is_true = stamp_check_(envelope);
  if (is_true) stamps_.Remember(id, *is_true);
  return is_true.value_or(false);
}

bool EnvelopeKind::IsSlow(const dht::Record& record) const {
  return record.body.size() == kEnvelopeBodySize && EffortOf(record) > 0 && !stamps_.Find(record.name.id);
}

absl::Status EnvelopeKind::Acceptable(const dht::Record& record, dht::Source source, absl::Time wall_now) const {
  ASSIGN_OR_RETURN(const Envelope envelope, ReadEnvelopeRecord(record));
  const Day past_days = source == dht::Source::kClient ? 1 : kEnvelopeDays + 1;
  RETURN_IF_ERROR(CheckDay(envelope.door.day, past_days, record.expiry, wall_now));
  if (source == dht::Source::kClient && envelope.effort < least_effort_) {
    return absl::InvalidArgumentError("envelope with less effort than the network asks for");
  }
  if (!ProvesEffort(envelope, record.name.id)) return absl::InvalidArgumentError("envelope with an unproved effort");
  return absl::OkStatus();
}

dht::Admission EnvelopeKind::Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const {
  using Verdict = dht::Admission::Verdict;
  if (place.Holds(record.name) || IsDeleted(record.name.id, place)) return {Verdict::kAlready};
  const std::optional<uint32_t> exceed = EffortToExceed(place);
  if (!exceed) return {Verdict::kStore};
  if (source == dht::Source::kClient && EffortOf(record) <= *exceed) return {Verdict::kFull, {}, EffortToOutbid(*exceed)};
  const std::vector<Rank> ranks = RanksAt(place);
  if (!(RankOf(record) < ranks[kDoorEnvelopesMax - 1])) return {Verdict::kAlready};
  return {Verdict::kStore, Overhang(ranks, record)};
}

absl::Status TombstoneKind::Acceptable(const dht::Record& record, dht::Source, absl::Time wall_now) const {
  ASSIGN_OR_RETURN(const Tombstone tombstone, ReadTombstoneRecord(record));
  RETURN_IF_ERROR(CheckDay(tombstone.door.day, kTombstoneDays + 1, record.expiry, wall_now));
  if (!VerifyTombstone(tombstone, network_)) return absl::UnauthenticatedError("tombstone with a wrong signature");
  return absl::OkStatus();
}

dht::Admission TombstoneKind::Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const {
  using Verdict = dht::Admission::Verdict;
  if (place.Holds(record.name)) return {Verdict::kAlready};
  std::set<Weight> weights = WeightsAt(place);
  weights.insert({TombstoneIdCount(record.body), record.name.id});
  const std::vector<dht::RecordId> beyond = BeyondLimit(weights);
  if (!beyond.empty() && source == dht::Source::kClient) return {Verdict::kFull};
  if (std::find(beyond.begin(), beyond.end(), record.name.id) != beyond.end()) return {Verdict::kAlready};
  dht::Admission admission{Verdict::kStore};
  for (const dht::RecordId& id : beyond) admission.remove.push_back({dht::Kind::kTombstone, record.name.point, id});
  base::ByteReader in(record.body);
  in.Take(kIdsOffset);
  for (size_t i = 0; i < TombstoneIdCount(record.body); ++i) {
    const dht::RecordName envelope{dht::Kind::kEnvelope, record.name.point, in.Array<32>()};
    if (place.Holds(envelope)) admission.remove.push_back(envelope);
  }
  return admission;
}

void RegisterDoorKinds(dht::RecordKinds& kinds, const std::string& network, uint32_t least_effort) {
  const auto check = [network](const Envelope& envelope) { return JudgeStamp(network, envelope); };
  kinds.Register(dht::Kind::kEnvelope, std::make_unique<EnvelopeKind>(check, least_effort));
  kinds.Register(dht::Kind::kTombstone, std::make_unique<TombstoneKind>(network));
}

}  // namespace chat
