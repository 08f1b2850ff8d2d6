// SPDX-License-Identifier: Apache-2.0
#include "chat/outbox.h"

#include <algorithm>
#include <iterator>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "chat/box.h"
#include "chat/envelope.h"

namespace chat {

namespace {

uint64_t Seconds(absl::Time time) {
  return time == absl::InfiniteFuture() ? UINT64_MAX : static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(time)));
}
absl::Time FromSeconds(uint64_t seconds) {
  return seconds == UINT64_MAX ? absl::InfiniteFuture() : absl::FromUnixSeconds(static_cast<int64_t>(seconds & INT64_MAX));
}

// After a put that succeeded.
absl::Duration PauseAfter(const Parcel& parcel) {
  const size_t at_once = parcel.twice ? 2 : 1;
  if (parcel.stores < at_once) return absl::ZeroDuration();
  return kRePutAfter[std::min<size_t>(parcel.stores - at_once, std::size(kRePutAfter) - 1)];
}

// An envelope can be put for yesterday's, today's and tomorrow's door only.
bool DoorOpen(const Parcel& parcel, absl::Time wall_now) {
  const auto envelope = DecodeEnvelope(parcel.body);
  return envelope.ok() && int64_t{envelope->door.day} + 1 >= int64_t{DayOf(wall_now)};
}

}  // namespace

dht::Record ParcelRecord(const Parcel& parcel, uint8_t place) {
  if (parcel.kind == Parcel::Kind::kEnvelope) {
    auto envelope = DecodeEnvelope(parcel.body);
    CHECK(envelope.ok());  // our own bytes
    envelope->place = place;
    return MakeEnvelopeRecord(*envelope);
  }
  auto box = DecodeBox(parcel.body);
  CHECK(box.ok());
  box->place = place;
  return MakeBoxRecord(*box);
}

absl::StatusOr<MessageId> Outbox::Enqueue(base::Bytes text, absl::Time wall_now, base::Rng& rng) {
  const auto unfinished = std::count_if(messages_.begin(), messages_.end(), [](const auto& one) { return !one.second.Final(); });
  if (static_cast<size_t>(unfinished) >= kUnfinishedMax || parcels_.size() >= kUnfinishedMax) {
    return absl::ResourceExhaustedError("too many messages wait for this contact");
  }
  Outgoing message;
  message.number = ++last_number_;
  message.id = rng.Array<16>();
  message.text = std::move(text);
  message.queued_at = wall_now;
  Touch(message);
  return messages_.emplace(message.number, std::move(message)).first->second.id;
}

const Outgoing* Outbox::NextUnsealed() const {
  for (const auto& [number, message] : messages_) {
    if (!message.Final() && message.parts == 0) return &message;
  }
  return nullptr;
}

void Outbox::MarkSealed(uint64_t number, uint32_t first_seq, uint16_t parts, absl::Time expiry) {
  Outgoing& message = messages_.at(number);
  message.first_seq = first_seq;
  message.parts = parts;
  message.expiry = expiry;
  Touch(message);
}

void Outbox::AddParcel(Parcel parcel) {
  changes_.parcels.insert(parcel.seq);
  parcels_[parcel.seq] = std::move(parcel);
}

void Outbox::Drop(std::map<uint32_t, Parcel>::iterator it) {
  changes_.parcels.insert(it->first);
  flying_.erase(it->first);
  parcels_.erase(it);
}

void Outbox::StartOver() {
  while (!parcels_.empty()) Drop(parcels_.begin());
  for (auto& [number, message] : messages_) {
    if (message.Final()) continue;
    message.parts = 0;
    message.copies = 0;
    message.state = DeliveryState::kQueued;
    Touch(message);
  }
}

std::vector<const Parcel*> Outbox::Due(absl::Time wall_now, size_t at_most) {
  std::vector<const Parcel*> due;
  for (const auto& [seq, parcel] : parcels_) {
    if (due.size() == at_most) break;
    if (parcel.due > wall_now || parcel.expiry <= wall_now || flying_.contains(seq)) continue;
    if (parcel.kind == Parcel::Kind::kEnvelope && !DoorOpen(parcel, wall_now)) continue;
    flying_.insert(seq);
    due.push_back(&parcel);
  }
  return due;
}

absl::Time Outbox::NextDue() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [seq, parcel] : parcels_) next = std::min(next, parcel.due);
  return next;
}

// Works out what the parcels of a message add up to. True if that is news.
bool Outbox::Settle(Outgoing& message) {
  if (message.Final() || message.parts == 0) return false;
  uint8_t least = UINT8_MAX;
  for (uint32_t seq = message.first_seq; seq < message.first_seq + message.parts; ++seq) {
    const auto it = parcels_.find(seq);  // not there: acknowledged
    if (it != parcels_.end()) least = std::min(least, it->second.copies);
  }
  DeliveryState state = DeliveryState::kDelivered;
  if (least != UINT8_MAX) state = least >= write_quorum_ ? DeliveryState::kStored : DeliveryState::kQueued;
  const uint8_t copies = state == DeliveryState::kStored ? least : message.copies;
  if (state == message.state && copies == message.copies) return false;
  message.state = state;
  message.copies = copies;
  if (message.Final()) message.text.clear();
  Touch(message);
  return true;
}

std::vector<StateChange> Outbox::OnPut(uint32_t seq, uint8_t copies, absl::Time wall_now) {
  flying_.erase(seq);
  const auto it = parcels_.find(seq);
  if (it == parcels_.end()) return {};
  Parcel& parcel = it->second;
  ++parcel.puts;
  const bool stored = copies >= write_quorum_;
  parcel.copies = std::max(parcel.copies, copies);
  parcel.stores += stored ? 1 : 0;
  parcel.due = wall_now + (stored ? PauseAfter(parcel) : kPutRetry);
  changes_.parcels.insert(seq);
  std::vector<StateChange> changed;
  for (auto& [number, message] : messages_) {
    if (seq >= message.first_seq && seq < message.first_seq + message.parts && Settle(message))
      changed.push_back({message.id, message.state, message.copies});
  }
  return changed;
}

std::vector<StateChange> Outbox::OnAcknowledged(uint32_t seq) {
  bool any = false;
  while (!parcels_.empty() && parcels_.begin()->first < seq) {
    Drop(parcels_.begin());
    any = true;
  }
  std::vector<StateChange> changed;
  if (!any) return changed;
  for (auto& [number, message] : messages_) {
    if (message.parts != 0 && message.first_seq < seq && Settle(message))
      changed.push_back({message.id, message.state, message.copies});
  }
  ForgetFinished();
  return changed;
}

std::vector<StateChange> Outbox::Expire(absl::Time wall_now, bool& broken) {
  broken = false;
  std::vector<StateChange> changed;
  for (auto it = parcels_.begin(); it != parcels_.end();) {
    const auto parcel = it++;
    if (parcel->second.expiry > wall_now) continue;
    broken = true;
    for (auto& [number, message] : messages_) {
      const bool its =
          message.parts != 0 && parcel->first >= message.first_seq && parcel->first < message.first_seq + message.parts;
      if (!its || message.Final()) continue;
      message.state = DeliveryState::kExpired;
      message.text.clear();
      Touch(message);
      changed.push_back({message.id, message.state, message.copies});
    }
    Drop(parcel);
  }
  if (broken) ForgetFinished();
  return changed;
}

void Outbox::ForgetFinished() {
  size_t finished =
      static_cast<size_t>(std::count_if(messages_.begin(), messages_.end(), [](const auto& one) { return one.second.Final(); }));
  for (auto it = messages_.begin(); it != messages_.end() && finished > kFinishedShown;) {
    const auto one = it++;
    if (!one->second.Final()) continue;
    Touch(one->second);
    messages_.erase(one);
    --finished;
  }
}

const Outgoing* Outbox::Find(const MessageId& id) const {
  for (const auto& [number, message] : messages_) {
    if (message.id == id) return &message;
  }
  return nullptr;
}

bool Outbox::UnderWay(const Outgoing& message) const {
  const auto flying = flying_.lower_bound(message.first_seq);
  return message.parts > 0 && flying != flying_.end() && *flying < message.first_seq + message.parts;
}

Outbox::Changes Outbox::TakeChanges() { return std::exchange(changes_, {}); }

void Outbox::Restore(Outgoing message) {
  last_number_ = std::max(last_number_, message.number);
  messages_[message.number] = std::move(message);
}
void Outbox::Restore(Parcel parcel) { parcels_[parcel.seq] = std::move(parcel); }

base::Bytes EncodeOutgoing(const Outgoing& message) {
  base::ByteWriter out;
  out.U64(message.number).Append(message.id).U64(Seconds(message.queued_at)).U64(Seconds(message.expiry));
  out.U8(static_cast<uint8_t>(message.state)).U8(message.copies).U32(message.first_seq).U16(message.parts).Append(message.text);
  return out.Take();
}

absl::StatusOr<Outgoing> DecodeOutgoing(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Outgoing message;
  message.number = in.U64();
  message.id = in.Array<16>();
  message.queued_at = FromSeconds(in.U64());
  message.expiry = FromSeconds(in.U64());
  message.state = static_cast<DeliveryState>(in.U8());
  message.copies = in.U8();
  message.first_seq = in.U32();
  message.parts = in.U16();
  if (!in.ok()) return absl::DataLossError("damaged outbox");
  message.text = base::ToBytes(in.Rest());
  return message;
}

base::Bytes EncodeParcel(const Parcel& parcel) {
  base::ByteWriter out;
  out.U32(parcel.seq)
      .U8(static_cast<uint8_t>(parcel.kind))
      .U64(Seconds(parcel.expiry))
      .U8(parcel.twice ? 1 : 0)
      .U8(parcel.first_place);
  out.U32(parcel.puts).U32(parcel.stores).U8(parcel.copies).U64(Seconds(parcel.due)).Append(parcel.body);
  return out.Take();
}

absl::StatusOr<Parcel> DecodeParcel(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Parcel parcel;
  parcel.seq = in.U32();
  parcel.kind = static_cast<Parcel::Kind>(in.U8());
  parcel.expiry = FromSeconds(in.U64());
  parcel.twice = in.U8() == 1;
  parcel.first_place = in.U8();
  parcel.puts = in.U32();
  parcel.stores = in.U32();
  parcel.copies = in.U8();
  parcel.due = FromSeconds(in.U64());
  parcel.body = base::ToBytes(in.Rest());
  const bool fits = parcel.kind == Parcel::Kind::kBox ? DecodeBox(parcel.body).ok() : DecodeEnvelope(parcel.body).ok();
  if (!in.ok() || !fits) return absl::DataLossError("damaged outbox");
  return parcel;
}

}  // namespace chat
