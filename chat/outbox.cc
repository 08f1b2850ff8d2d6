// SPDX-License-Identifier: Apache-2.0
#include "chat/outbox.h"

#include <algorithm>
#include <iterator>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "chat/box.h"
#include "chat/envelope.h"
#include "chat/file_transfer.h"
#include "chat/saved_time.h"

namespace chat {

namespace {

constexpr absl::Duration kRePutLast = kRePutAfter[std::size(kRePutAfter) - 1];
constexpr uint8_t kHasFile = 0x80;  // in the state of a message, in the kind of a parcel: more fields follow
constexpr uint8_t kHasLife = 0x40;  // in the state of a message: one more byte
constexpr uint8_t kControl = 0x20;  // in the state of a message
constexpr uint8_t kGone = 0x80;     // in that byte

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

absl::StatusOr<MessageId> Outbox::Add(Outgoing message, absl::Time wall_now, base::Rng& rng) {
  const auto unfinished = std::count_if(messages_.begin(), messages_.end(), [](const auto& one) { return !one.second.Final(); });
  if (static_cast<size_t>(unfinished) >= kUnfinishedMax || parcels_.size() >= kParcelsMax) {
    return absl::ResourceExhaustedError("too many messages wait for this contact");
  }
  message.number = ++last_number_;
  message.id = rng.Array<16>();
  message.queued_at = absl::FromUnixSeconds(absl::ToUnixSeconds(wall_now));  // as the inbox keeps it: both end it together
  Touch(message);
  if (message.IsFile()) changes_.files.insert(message.number);
  return messages_.emplace(message.number, std::move(message)).first->second.id;
}

absl::StatusOr<MessageId> Outbox::Enqueue(base::Bytes text, uint8_t life, absl::Time wall_now, base::Rng& rng, bool is_control) {
  Outgoing message;
  message.is_control = is_control;
  message.life = life;
  message.text = std::move(text);
  return Add(std::move(message), wall_now, rng);
}

absl::StatusOr<MessageId> Outbox::EnqueueFile(std::string name, base::Bytes bytes, uint8_t life, absl::Time wall_now,
                                              base::Rng& rng) {
  CHECK(bytes.size() <= kFileBytesMax && !name.empty() && name.size() <= kFileNameMax);
  const auto files = std::count_if(messages_.begin(), messages_.end(),
                                   [](const auto& one) { return one.second.IsFile() && !one.second.Final(); });
  if (static_cast<size_t>(files) >= kFilesWaitingMax)
    return absl::ResourceExhaustedError("four files wait for this contact already");
  Outgoing message;
  message.life = life;
  message.pieces = PiecesOf(bytes.size());
  message.text = std::move(bytes);
  message.file_name = std::move(name);
  return Add(std::move(message), wall_now, rng);
}

const Outgoing* Outbox::NextUnsealed() const {
  for (const auto& [number, message] : messages_) {
    if (!message.Final() && message.parts == 0 && !message.IsFile()) return &message;
  }
  return nullptr;
}

const Outgoing* Outbox::NextFile() const {
  if (parcels_.size() + kUnfinishedMax >= kParcelsMax) return nullptr;
  for (const auto& [number, message] : messages_) {
    if (message.Final() || message.sealed == message.pieces) continue;
    return message.weak < kPieceWindow ? &message : nullptr;
  }
  return nullptr;
}

bool Outbox::HasUnsealed() const { return NextUnsealed() != nullptr || NextFile() != nullptr; }

void Outbox::MarkPieceSealed(uint64_t number, absl::Time expiry) {
  Outgoing& message = messages_.at(number);
  ++message.sealed;
  message.expiry = std::min(message.expiry, expiry);
  Touch(message);
}

Outgoing* Outbox::FileOf(const Parcel& parcel) {
  const auto it = parcel.file == 0 ? messages_.end() : messages_.find(parcel.file);
  return it == messages_.end() ? nullptr : &it->second;
}

void Outbox::End(Outgoing& message, DeliveryState state) {
  message.state = state;
  message.text.clear();
  if (message.IsFile()) changes_.files.insert(message.number);
  Touch(message);
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
  Restore(std::move(parcel));
}

void Outbox::Drop(std::map<uint32_t, Parcel>::iterator it) {
  changes_.parcels.insert(it->first);
  if (Outgoing* file = FileOf(it->second)) {
    --file->held;
    if (it->second.copies < write_quorum_) --file->weak;
  }
  flying_.erase(it->first);
  parcels_.erase(it);
}

bool Outbox::HasDisappearing(absl::Time wall_now) const {
  return std::any_of(messages_.begin(), messages_.end(), [&](const auto& one) {
    const Outgoing& message = one.second;
    const bool is_due = message.queued_at > wall_now || message.queued_at + LifeOf(message.life) <= wall_now;
    return !message.Final() && !message.gone && message.life > 0 && is_due;
  });
}

std::vector<StateChange> Outbox::Disappear(absl::Time wall_now) {
  std::vector<StateChange> changed;
  for (auto& [number, message] : messages_) {
    if (message.Final() || message.gone || message.life == 0) continue;
    if (message.queued_at > wall_now) {  // written while the clock was ahead
      message.queued_at = absl::FromUnixSeconds(absl::ToUnixSeconds(wall_now));
      Touch(message);
    }
    if (message.queued_at + LifeOf(message.life) > wall_now) continue;
    message.gone = true;
    const bool is_sealed = message.IsFile() ? message.sealed == message.pieces : message.parts > 0;
    End(message, is_sealed ? message.state : DeliveryState::kExpired);
    if (!is_sealed) changed.push_back(StateOf(message));
  }
  return changed;
}

std::vector<StateChange> Outbox::StartOver() {
  std::vector<StateChange> changed;
  while (!parcels_.empty()) Drop(parcels_.begin());
  for (auto& [number, message] : messages_) {
    if (message.Final()) continue;
    if (message.gone) {
      End(message, DeliveryState::kExpired);
      changed.push_back(StateOf(message));
      continue;
    }
    Reopen(message);
  }
  return changed;
}

void Outbox::Reopen(Outgoing& message) {
  message.parts = 0;
  message.sealed = message.acknowledged;
  message.expiry = absl::InfiniteFuture();
  message.copies = 0;
  message.state = DeliveryState::kQueued;
  Touch(message);
}

bool Outbox::IsImpossible(const Parcel& parcel, absl::Time wall_now) const {
  return parcel.copies < write_quorum_ && parcel.expiry > wall_now + dht::kTtlMax + dht::kClockTolerance;
}

bool Outbox::HasImpossible(absl::Time wall_now) const {
  return std::any_of(parcels_.begin(), parcels_.end(), [&](const auto& one) { return IsImpossible(one.second, wall_now); });
}

std::optional<uint32_t> Outbox::Unseal(absl::Time wall_now) {
  std::optional<uint32_t> next;
  for (auto& [number, message] : messages_) {
    auto parcel = parcels_.lower_bound(message.first_seq);
    const auto end = parcels_.lower_bound(message.first_seq + message.parts);
    const bool its = std::any_of(parcel, end, [&](const auto& one) { return IsImpossible(one.second, wall_now); });
    if (!its || message.Final() || message.gone) continue;
    next = std::min(next.value_or(message.first_seq), message.first_seq);
    while (parcel != end) Drop(parcel++);
    Reopen(message);
  }
  if (next && !parcels_.empty()) next = std::max(*next, parcels_.rbegin()->first + 1);
  return next;
}

void Outbox::BlankControls(const std::function<bool(base::ByteView)>& which) {
  for (auto& [number, message] : messages_) {
    if (!message.is_control || message.Final() || !which(message.text)) continue;
    message.text.clear();
    Touch(message);
  }
}

void Outbox::ForgetAcknowledged() {
  for (auto& [number, message] : messages_) {
    if (message.Final() || message.acknowledged == 0) continue;
    message.acknowledged = 0;
    Touch(message);
  }
}

std::vector<StateChange> Outbox::Refuse(const MessageId& id) {
  for (auto& [number, message] : messages_) {
    if (message.id != id || !message.IsFile() || message.Final()) continue;
    End(message, DeliveryState::kRefused);
    return {StateOf(message)};
  }
  return {};
}

std::vector<const Parcel*> Outbox::Due(absl::Time wall_now, size_t at_most) {
  std::vector<const Parcel*> due;
  for (const auto& [seq, parcel] : parcels_) {
    if (due.size() == at_most) break;
    const bool is_due = parcel.due <= wall_now || parcel.due > wall_now + kRePutLast;  // set while the clock was ahead
    if (!is_due || parcel.expiry <= wall_now || flying_.contains(seq)) continue;
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
  if (message.Final() || (message.parts == 0 && !message.IsFile())) return false;
  const uint8_t least = FewestCopies(message);
  DeliveryState state = DeliveryState::kDelivered;
  if (least != UINT8_MAX) state = least >= write_quorum_ ? DeliveryState::kStored : DeliveryState::kQueued;
  const uint8_t copies = state == DeliveryState::kStored ? least : message.copies;
  if (state == message.state && copies == message.copies) return false;
  message.copies = copies;
  message.state = state;
  if (message.Final()) End(message, state);
  Touch(message);
  return true;
}

// Of what is not acknowledged; UINT8_MAX if all is. A file is counted only once all its pieces are stored.
uint8_t Outbox::FewestCopies(const Outgoing& message) const {
  uint8_t least = UINT8_MAX;
  if (message.IsFile()) {
    if (message.sealed < message.pieces || message.weak > 0) return 0;
    if (message.held == 0) return least;
    for (const auto& [seq, parcel] : parcels_) {
      if (parcel.file == message.number) least = std::min(least, parcel.copies);
    }
    return least;
  }
  for (uint32_t seq = message.first_seq; seq < message.first_seq + message.parts; ++seq) {
    const auto it = parcels_.find(seq);  // not there: acknowledged
    if (it != parcels_.end()) least = std::min(least, it->second.copies);
  }
  return least;
}

std::vector<StateChange> Outbox::OnPut(uint32_t seq, uint8_t copies, absl::Time wall_now) {
  flying_.erase(seq);
  const auto it = parcels_.find(seq);
  if (it == parcels_.end()) return {};
  Parcel& parcel = it->second;
  ++parcel.puts;
  const bool stored = copies >= write_quorum_;
  Outgoing* file = FileOf(parcel);
  if (file != nullptr && stored && parcel.copies < write_quorum_) --file->weak;
  parcel.copies = std::max(parcel.copies, copies);
  parcel.stores += stored ? 1 : 0;
  parcel.due = wall_now + (stored ? PauseAfter(parcel) : kPutRetry);
  changes_.parcels.insert(seq);
  std::vector<StateChange> changed;
  if (file != nullptr && Settle(*file)) changed.push_back(StateOf(*file));
  for (auto& [number, message] : messages_) {
    if (seq >= message.first_seq && seq < message.first_seq + message.parts && Settle(message))
      changed.push_back(StateOf(message));
  }
  return changed;
}

std::vector<StateChange> Outbox::OnAcknowledged(uint32_t seq) {
  bool any = false;
  while (!parcels_.empty() && parcels_.begin()->first < seq) {
    const Parcel& parcel = parcels_.begin()->second;
    if (Outgoing* file = FileOf(parcel)) {
      file->acknowledged = std::max<uint16_t>(file->acknowledged, parcel.piece + 1);
      Touch(*file);
    }
    Drop(parcels_.begin());
    any = true;
  }
  std::vector<StateChange> changed;
  if (!any) return changed;
  for (auto& [number, message] : messages_) {
    const bool its = message.IsFile() || (message.parts != 0 && message.first_seq < seq);
    if (its && Settle(message)) changed.push_back(StateOf(message));
  }
  ForgetFinished();
  return changed;
}

std::vector<StateChange> Outbox::Expire(absl::Time wall_now, bool& broken) {
  broken = false;
  std::vector<StateChange> changed;
  for (auto it = parcels_.begin(); it != parcels_.end();) {
    const auto parcel = it++;
    if (parcel->second.expiry > wall_now && !IsImpossible(parcel->second, wall_now)) continue;
    broken = true;
    for (auto& [number, message] : messages_) {
      const bool its = number == parcel->second.file || (message.parts != 0 && parcel->first >= message.first_seq &&
                                                         parcel->first < message.first_seq + message.parts);
      if (!its || message.Final()) continue;
      End(message, DeliveryState::kExpired);
      changed.push_back(StateOf(message));
    }
    Drop(parcel);
  }
  if (broken) ForgetFinished();
  return changed;
}

void Outbox::RetireStored(absl::Time wall_now, size_t parcels_kept) {
  for (auto it = messages_.begin(); it != messages_.end();) {
    const auto one = it++;
    const Outgoing& message = one->second;
    const bool is_over = message.expiry <= wall_now || parcels_.size() > parcels_kept;
    if (message.state != DeliveryState::kStored || message.IsFile() || !is_over) continue;
    for (uint32_t seq = message.first_seq; seq < message.first_seq + message.parts; ++seq) {
      const auto parcel = parcels_.find(seq);
      if (parcel != parcels_.end()) Drop(parcel);
    }
    changes_.messages.insert(one->first);
    messages_.erase(one);
  }
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
  if (message.IsFile()) return !message.Final() && message.weak > 0;
  const auto flying = flying_.lower_bound(message.first_seq);
  return message.parts > 0 && flying != flying_.end() && *flying < message.first_seq + message.parts;
}

Outbox::Changes Outbox::TakeChanges() { return std::exchange(changes_, {}); }

void Outbox::Restore(Outgoing message) {
  last_number_ = std::max(last_number_, message.number);
  messages_[message.number] = std::move(message);
}
void Outbox::Restore(Parcel parcel) {
  if (Outgoing* file = FileOf(parcel)) {
    ++file->held;
    if (parcel.copies < write_quorum_) ++file->weak;
  }
  parcels_[parcel.seq] = std::move(parcel);
}
void Outbox::RestoreBytes(uint64_t number, base::Bytes bytes) {
  const auto it = messages_.find(number);
  if (it != messages_.end()) it->second.text = std::move(bytes);
}

StateChange StateOf(const Outgoing& message) {
  return {message.id, message.state, message.copies, message.PiecesStored(), message.pieces, message.is_control};
}

base::Bytes EncodeOutgoing(const Outgoing& message) {
  base::ByteWriter out;
  out.U64(message.number).Append(message.id).U64(Seconds(message.queued_at)).U64(Seconds(message.expiry));
  out.U8(static_cast<uint8_t>(message.state) | (message.IsFile() ? kHasFile : 0) | (message.life > 0 ? kHasLife : 0) |
         (message.is_control ? kControl : 0))
      .U8(message.copies)
      .U32(message.first_seq);
  out.U16(message.parts);
  if (message.life > 0) out.U8(message.life | (message.gone ? kGone : 0));
  if (!message.IsFile()) return out.Append(message.text).Take();
  out.U16(message.pieces).U16(message.acknowledged).U16(message.sealed).Append(base::AsBytes(message.file_name));
  return out.Take();
}

absl::StatusOr<Outgoing> DecodeOutgoing(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Outgoing message;
  message.number = in.U64();
  message.id = in.Array<16>();
  message.queued_at = FromSeconds(in.U64());
  message.expiry = FromSeconds(in.U64());
  const uint8_t state = in.U8();
  message.state = static_cast<DeliveryState>(state & ~(kHasFile | kHasLife | kControl));
  message.is_control = (state & kControl) != 0;
  message.copies = in.U8();
  message.first_seq = in.U32();
  message.parts = in.U16();
  if ((state & kHasLife) != 0) {
    const uint8_t life = in.U8();
    message.gone = (life & kGone) != 0;
    message.life = life & ~kGone;
  }
  if ((state & kHasFile) != 0) {
    message.pieces = in.U16();
    message.acknowledged = in.U16();
    message.sealed = in.U16();
    message.file_name = base::ToString(in.Rest());
  } else {
    message.text = base::ToBytes(in.Rest());
  }
  if (!in.ok() || message.life >= kMessageLifeCodes) return absl::DataLossError("damaged outbox");
  return message;
}

base::Bytes EncodeParcel(const Parcel& parcel) {
  base::ByteWriter out;
  out.U32(parcel.seq)
      .U8(static_cast<uint8_t>(parcel.kind) | (parcel.file != 0 ? kHasFile : 0))
      .U64(Seconds(parcel.expiry))
      .U8(parcel.twice ? 1 : 0)
      .U8(parcel.first_place);
  out.U32(parcel.puts).U32(parcel.stores).U8(parcel.copies).U64(Seconds(parcel.due));
  if (parcel.file != 0) out.U64(parcel.file).U16(parcel.piece);
  return out.Append(parcel.body).Take();
}

absl::StatusOr<Parcel> DecodeParcel(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Parcel parcel;
  parcel.seq = in.U32();
  const uint8_t kind = in.U8();
  parcel.kind = static_cast<Parcel::Kind>(kind & ~kHasFile);
  parcel.expiry = FromSeconds(in.U64());
  parcel.twice = in.U8() == 1;
  parcel.first_place = in.U8();
  parcel.puts = in.U32();
  parcel.stores = in.U32();
  parcel.copies = in.U8();
  parcel.due = FromSeconds(in.U64());
  if ((kind & kHasFile) != 0) {
    parcel.file = in.U64();
    parcel.piece = in.U16();
  }
  parcel.body = base::ToBytes(in.Rest());
  const bool fits = parcel.kind == Parcel::Kind::kBox ? DecodeBox(parcel.body).ok() : DecodeEnvelope(parcel.body).ok();
  if (!in.ok() || !fits) return absl::DataLossError("damaged outbox");
  return parcel;
}

}  // namespace chat
